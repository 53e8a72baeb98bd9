"""Licences are those that timm states, of the weights that it fetches; nothing is guessed."""

from __future__ import annotations

import pytest

from umt.export.licence import stated_licence


@pytest.mark.parametrize(
    ("backbone", "weights", "licence"),
    [
        ("timm:vit_base_patch16_224.mae", None, "cc-by-nc-4.0"),
        ("timm:vit_base_patch16_dinov3.lvd1689m?img_size=224", None, "dinov3-license"),
        ("timm:vit_base_patch16_224.mae", "mae.pth", "unknown"),
        ("timm:vit_base_patch16_224.mae?weights=mae.pth", None, "unknown"),
        ("timm:resnet50?pretrained=false", None, "none: random weights"),
        ("timm:no_such_model", None, "unknown"),
        ("open_clip:ViT-B-16/openai", None, "unknown"),
        ("pypi:tf_efficientnet_lite0", None, "unknown"),
    ],
)
def test_what_is_stated(backbone: str, weights: str | None, licence: str) -> None:
    assert stated_licence(backbone, weights) == licence
