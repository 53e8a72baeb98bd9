"""Every parameter is in one group, with the learning rate of its part; Proteus' groups are what mmengine makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

from depth.optim import custom_keys, every_parameter, head_only
from mmseg_configs.backbone import UMTBackbone

RATES = {"lr": 1e-4, "weight_decay": 0.01, "backbone_scale": 0.1}
NAMES = pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])


class Network(nn.Module):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = UMTBackbone(f"timm:{name}?pretrained=false")
        self.decode_head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))


def settings_of(groups: list[dict[str, Any]]) -> dict[int, tuple[float, float]]:
    """Learning rate and decay of every parameter, which must be in one group alone."""
    assert len({id(value) for group in groups for value in group["params"]}) == sum(len(g["params"]) for g in groups)
    return {id(value): (group["lr"], group["weight_decay"]) for group in groups for value in group["params"]}


@NAMES
def test_the_whole_backbone_learns_at_a_tenth(name: str) -> None:
    network = Network(name)
    found = settings_of(every_parameter(network.backbone, network.decode_head, **RATES))
    assert found.keys() == {id(value) for value in network.parameters()}
    exempt = network.backbone.backbone.no_weight_decay()
    for key, value in network.backbone.backbone.named_parameters():
        assert found[id(value)] == (1e-4 * 0.1, 0.0 if value.ndim == 1 or key in exempt else 0.01)
    assert {found[id(value)][0] for value in network.decode_head.parameters()} == {1e-4}
    if name == "test_vit":
        assert "model.pos_embed" in exempt


@NAMES
def test_custom_keys_are_matched_as_mmengine_matches_them(name: str) -> None:
    network = Network(name)
    published = {
        "pos_embed": {"decay_mult": 0.0},
        "cls_token": {"decay_mult": 0.0},
        "norm": {"decay_mult": 0.0},
        "backbone": {"lr_mult": 0.1},
    }
    optimizer = {"type": "AdamW", "lr": 1e-4, "weight_decay": 0.01}
    theirs = build_optim_wrapper(
        network, {"type": "OptimWrapper", "optimizer": optimizer, "paramwise_cfg": {"custom_keys": published}}
    )
    ours = torch.optim.AdamW(custom_keys(network.backbone, network.decode_head, **RATES))
    assert settings_of(ours.param_groups) == settings_of(theirs.optimizer.param_groups)


def test_custom_keys_let_the_position_embedding_escape() -> None:
    network = Network("test_vit")
    found = settings_of(custom_keys(network.backbone, network.decode_head, **RATES))
    named = dict(network.named_parameters())
    assert found[id(named["backbone.backbone.model.pos_embed"])] == (1e-4, 0.0)
    assert found[id(named["backbone.backbone.model.blocks.0.norm1.weight"])] == (pytest.approx(1e-5), 0.01)


@pytest.mark.parametrize(
    ("rule", "trains_backbone"), [(every_parameter, True), (custom_keys, True), (head_only, False)]
)
def test_a_frozen_backbone_is_in_no_group(rule: Callable[..., list[dict[str, Any]]], trains_backbone: bool) -> None:
    network = Network("test_vit")
    found = settings_of(rule(network.backbone, network.decode_head, **RATES))
    assert ({id(value) for value in network.backbone.parameters()} <= found.keys()) is trains_backbone
    assert {id(value) for value in network.decode_head.parameters()} <= found.keys()
