"""Autocast is on where it should be, and fp16 scales its loss."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from umt.training.optim_wrapper import AutocastOptimWrapper, make_optim_wrapper


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
