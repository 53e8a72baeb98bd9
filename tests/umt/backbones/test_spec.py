"""The grammar of backbone names."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.backbones.spec import BackboneName, parse_spec, read_name
from umt.errors import UMTError


@pytest.mark.parametrize(
    ("text", "scheme", "name", "tap"),
    [
        ("timm:vit_base_patch16_dinov3.lvd1689m", "timm", "vit_base_patch16_dinov3.lvd1689m", None),
        ("open_clip:ViT-B-16/openai", "open_clip", "ViT-B-16/openai", None),
        ("ckpt.pth#dino", "", "ckpt.pth", "dino"),
        ("umt:ckpt.pth", "umt", "ckpt.pth", None),
        ("run:1/ckpt.pth", "", "run:1/ckpt.pth", None),
        ("a.b.c:build", "a.b.c", "build", None),
        ("dir/plug.py:build", "dir/plug.py", "build", None),
        ("installed", "", "installed", None),
    ],
)
def test_parts(text: str, scheme: str, name: str, tap: str | None) -> None:
    spec = parse_spec(text)
    assert (spec.scheme, spec.name, spec.tap, spec.text) == (scheme, name, tap, text)


def test_option_values_are_what_they_look_like() -> None:
    text = "timm:x?a=1&b=1e-3&c=-2.5E+4&d=true&e=[1, 2.5]&f=same&g=0.5&h=a=b&i=/dir/my+file.pth"
    assert parse_spec(text).options == {
        "a": 1,
        "b": 1e-3,
        "c": -25000.0,
        "d": True,
        "e": [1, 2.5],
        "f": "same",
        "g": 0.5,
        "h": "a=b",
        "i": "/dir/my+file.pth",
    }


@pytest.mark.parametrize("text", ["timm:x?a", "timm:x?=1", "timm:x?a=1&&b=2"])
def test_malformed_options_are_named(text: str) -> None:
    with pytest.raises(UMTError, match="key=value"):
        parse_spec(text)


def test_malformed_values_are_named() -> None:
    with pytest.raises(UMTError, match=r"'\[1,'"):
        parse_spec("timm:x?a=[1,")


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(UMTError, match="names nothing"):
        parse_spec("timm:")


def test_a_file_without_suffix_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights").touch()
    assert parse_spec(str(tmp_path / "weights")).is_file
    assert not parse_spec("weights-that-are-not-there").is_file


def test_more_options_win_and_show_in_the_text() -> None:
    spec = parse_spec("ckpt.pth?size=224&b=1e-3#mae").with_options(size=448, sizes=[1, 2], on=True)
    assert spec.text == "ckpt.pth?size=448&b=0.001&sizes=[1, 2]&on=true#mae"
    assert parse_spec(spec.text) == spec


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
