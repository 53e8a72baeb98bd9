"""Which precision is picked, and which attention trains in it."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from umt.errors import UMTError
from umt.training.precision import pick_precision, plain_attention

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
        pick_precision("fp16", CPU)


def fused(model: nn.Module) -> list[bool]:
    return [part.fused_attn for part in model.modules() if hasattr(part, "fused_attn")]


def test_attention_that_a_cpu_trains_in_bf16_takes_plain_products() -> None:
    """They compute what the fused kernel computes (in float64), and no more than a training takes them."""
    model = timm.create_model("test_vit", num_classes=0).double().requires_grad_(False)
    model.blocks[-1].requires_grad_(True)
    images, outputs, gradients = torch.rand(2, 3, 160, 160, dtype=torch.float64), [], []
    for setting in ("fp32", "bf16"):
        with plain_attention(model, setting, CPU):
            assert fused(model) == [True] * (len(model.blocks) - 1) + [setting == "fp32"]
            outputs.append(model(images))
        outputs[-1].square().sum().backward()
        gradients.append(model.blocks[-1].attn.qkv.weight.grad.clone())
        model.zero_grad()
    assert fused(model) == [True] * len(model.blocks)
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*gradients)


def test_attention_of_a_gpu_stays_fused_and_an_error_restores_it() -> None:
    model = timm.create_model("test_vit", num_classes=0)
    with plain_attention(model, "bf16", torch.device("cuda")):
        assert all(fused(model))
    with pytest.raises(KeyError), plain_attention(model, "bf16", CPU):
        assert not any(fused(model))
        raise KeyError
    assert all(fused(model))
