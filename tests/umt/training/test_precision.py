"""Which precision is picked, and that autocast is on where it should be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from umt.errors import UMTError
from umt.training.precision import AutocastOptimWrapper, make_optim_wrapper, pick_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("amx", "picked"), [(True, "bf16"), (False, "fp32")])
def test_auto_is_bf16_only_with_matrix_units(amx: bool, picked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert pick_precision("auto", CPU) == picked


@pytest.mark.parametrize("setting", ["fp32", "bf16"])
def test_a_stated_precision_is_kept(setting: str) -> None:
    assert pick_precision(setting, CPU) == setting


def test_an_unknown_precision_is_named() -> None:
    with pytest.raises(UMTError, match=r"unknown precision 'bf61'\. Did you mean bf16"):
        pick_precision("bf61", CPU)


def test_fp16_is_for_gpus() -> None:
    assert pick_precision("fp16", torch.device("cuda")) == "fp16"
    with pytest.raises(UMTError, match="precision fp16 trains on GPUs only, the device is cpu; take bf16 or fp32"):
        make_optim_wrapper("fp16", CPU)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here: fp16 trains on GPUs only")
def test_fp16_scales_the_loss() -> None:
    layer = nn.Linear(4, 4).cuda()
    wrapper = make_optim_wrapper("fp16", torch.device("cuda"), optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
    with wrapper.optim_context(layer):
        loss = layer(torch.rand(2, 4, device="cuda")).float().sum()
    wrapper.backward(loss)
    assert wrapper.state_dict()["loss_scaler"]["scale"] == 65536
    assert torch.allclose(layer.bias.grad, torch.full((4,), 2.0 * 65536, device="cuda"))


def test_autocast_is_on_inside_the_context_only() -> None:
    layer = nn.Linear(4, 4)
    wrapper = AutocastOptimWrapper("cpu", optimizer=torch.optim.SGD(layer.parameters(), lr=0.1))
    with wrapper.optim_context(layer):
        assert layer(torch.rand(2, 4)).dtype == torch.bfloat16
    assert layer(torch.rand(2, 4)).dtype == torch.float32
