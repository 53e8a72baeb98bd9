"""The grammar of backbone names."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.backbones.spec import parse_spec
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
