"""Names of other libraries lead to a name here, and that name is known there."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm

from umt.backbones import create_backbone
from umt.backbones.suggestions import elsewhere
from umt.errors import UMTError


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dinov2_vitb14", "timm:vit_base_patch14_dinov2.lvd142m"),
        ("dinov2_vitg14_reg", "timm:vit_giant_patch14_reg4_dinov2.lvd142m"),
        ("dinov3_vitl16", "timm:vit_large_patch16_dinov3.lvd1689m"),
        ("dinov3_vit7b16", "timm:vit_7b_patch16_dinov3.lvd1689m"),
        ("dinov3_convnext_tiny", "timm:convnext_tiny.dinov3_lvd1689m"),
        ("dino_vits8", "timm:vit_small_patch8_224.dino"),
        ("mae_vit_base_patch16_dec512d8b", "timm:vit_base_patch16_224.mae"),
        ("timm/vit_base_patch16_224.mae", "timm:vit_base_patch16_224.mae"),
    ],
)
def test_names_of_hubs_are_timms(name: str, meant: str) -> None:
    assert elsewhere(name) == meant
    assert meant.removeprefix("timm:") in timm.list_pretrained()


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("facebook/dinov2-base", "hf:facebook/dinov2-base"),
        ("google/siglip2-base-patch16-224@main", "hf:google/siglip2-base-patch16-224@main"),
        ("ViT-B/16", "open_clip:ViT-B-16/TAG"),
        ("RN50", "open_clip:RN50/TAG"),
        ("vit_b_16", "torchvision:vit_b_16"),
        ("resnet_50", None),
        ("runs/mine/student", None),
        ("./student", None),
    ],
)
def test_names_of_other_libraries(name: str, meant: str | None) -> None:
    assert elsewhere(name) == meant


def test_folders_are_named_for_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architecture": "test_vit"}')
    assert elsewhere(str(tmp_path)) == f"timm:local-dir:{tmp_path}"
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    assert elsewhere(str(tmp_path)) == f"hf:{tmp_path}"
    (tmp_path / "config.json").write_text("{")
    assert elsewhere(str(tmp_path)) is None


@pytest.mark.parametrize("name", ["dinov2_vitb14", "timm:dinov2_vitb14"])
def test_the_error_asks_for_it(name: str) -> None:
    with pytest.raises(UMTError, match=r"'dinov2_vitb14'\. Did you mean timm:vit_base_patch14_dinov2\.lvd142m\?$"):
        create_backbone(name)


def test_what_timm_has_is_timms() -> None:
    with pytest.raises(UMTError, match="Did you mean timm:resnet50"):
        create_backbone("resnet50")
