"""Stochastic depth that is set afterwards equals what timm builds."""

from __future__ import annotations

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import nn

from umt.training.drop_path import set_drop_path


def rates(model: nn.Module) -> list[float]:
    return [module.drop_prob for module in model.modules() if isinstance(module, DropPath) and module.drop_prob > 0]


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "resnet18", "swin_tiny_patch4_window7_224"])
def test_rates_equal_timms(name: str) -> None:
    model = timm.create_model(name, num_classes=0)
    assert set_drop_path(model, 0.2) > 0
    assert rates(model) == pytest.approx(rates(timm.create_model(name, num_classes=0, drop_path_rate=0.2)))


def test_it_acts_in_training_only() -> None:
    model = timm.create_model("resnet10t", num_classes=0, norm_layer=nn.Identity)
    images = torch.rand(8, 3, 32, 32)
    plain = model.eval()(images)
    set_drop_path(model, 0.9)
    torch.testing.assert_close(model.eval()(images), plain)
    torch.manual_seed(0)
    assert not torch.allclose(model.train()(images), plain)


def test_an_architecture_without_a_place_for_it_is_left_alone() -> None:
    assert set_drop_path(nn.Sequential(nn.Linear(2, 2)), 0.5) == 0
