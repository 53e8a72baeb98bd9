"""Every parameter is in one group, with the learning rate of its part."""

from __future__ import annotations

import pytest
from torch import nn

from depth.optim import parameter_groups
from mmseg_configs.backbone import UMTBackbone


@pytest.mark.parametrize("name", ["test_vit", "test_resnet", "test_convnext"])
def test_the_whole_backbone_learns_at_a_tenth(name: str) -> None:
    backbone = UMTBackbone(f"timm:{name}?pretrained=false")
    head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
    groups = parameter_groups(backbone, head, lr=1e-4, weight_decay=0.01, backbone_scale=0.1)
    rates = {id(parameter): group["lr"] for group in groups for parameter in group["params"]}
    decays = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len([*backbone.parameters(), *head.parameters()])
    assert {rates[id(parameter)] for parameter in backbone.parameters()} == {1e-4 * 0.1}
    assert {rates[id(parameter)] for parameter in head.parameters()} == {1e-4}
    exempt = backbone.backbone.no_weight_decay()
    for key, parameter in backbone.backbone.named_parameters():
        assert decays[id(parameter)] == (0.0 if parameter.ndim == 1 or key in exempt else 0.01)
    if name == "test_vit":
        assert "model.pos_embed" in exempt
