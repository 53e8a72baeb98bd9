"""Names of table rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.backbones.label import BackboneName, read_name


@pytest.mark.parametrize(
    ("text", "label", "spec"),
    [
        ("timm:resnet50", "resnet50", "timm:resnet50"),
        ("Ours=timm:resnet50?pretrained=false", "Ours", "timm:resnet50?pretrained=false"),
        ("timm:resnet50?pretrained=false", "resnet50 (pretrained=False)", "timm:resnet50?pretrained=false"),
        ("timm:resnet50?weights=/a/b.pth", "resnet50", "timm:resnet50?weights=/a/b.pth"),
        ("runs/umt_vitb.pth#dino", "umt_vitb#dino", "runs/umt_vitb.pth#dino"),
        ("A B=ckpt.pth", "A B", "ckpt.pth"),
        ("ViT-B/16=timm:vit_base_patch16_224", "ViT-B/16", "timm:vit_base_patch16_224"),
        ("runs/lr=1e-4/ckpt.pth", "ckpt", "runs/lr=1e-4/ckpt.pth"),
    ],
)
def test_label_and_spec(text: str, label: str, spec: str) -> None:
    assert read_name(text) == BackboneName(label, spec, trusted=False)
    assert read_name(text, trusted=True) == BackboneName(label, spec, trusted=True)


def test_a_file_with_an_equals_sign_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("lr=1e-4.pth").touch()
    assert read_name("lr=1e-4.pth") == BackboneName("lr=1e-4", "lr=1e-4.pth")
