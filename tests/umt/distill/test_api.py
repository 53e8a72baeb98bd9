"""`umt.distill` from Python: what the command does, without its options."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import umt
from umt.backbones.checkpoint import read_checkpoint
from umt.distill.cli import distill_command
from umt.errors import MissingFileError, OptionError, UnknownNameError

RECIPE = {
    "about": "One random teacher",
    "student": "timm:test_resnet",
    "teachers": [{"name": "a", "objective": "classification", "backbone": "timm:test_resnet?pretrained=false"}],
    "interaction": {"rounds": 1, "groups": 8},
    "views": {"size": 32},
    "training": {
        "epochs": 2, "batch": 4, "device_batch": 4, "lr": 1.0e-3, "warmup_epochs": 1, "weight_decay": 0.05,
        "betas": [0.9, 0.95], "clip_norm": 1.0, "precision": "fp32",
    },
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


def test_the_checkpoint_is_a_backbone_and_is_not_made_twice(
    recipe: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"images": images, "out": tmp_path / "out", "changes": "training.epochs=3", "device": "cpu", "quiet": True}
    path = umt.distill(recipe, **given)
    assert path == tmp_path / "out" / "student.pth"
    assert capsys.readouterr().out == ""
    assert read_checkpoint(path).provenance["recipe"]["training"]["epochs"] == 3
    assert umt.create_backbone(f"{path}#a").dim > 0
    written = path.stat().st_mtime_ns
    assert umt.distill(str(recipe), **{**given, "quiet": False}) == path
    assert "is complete; nothing to do" in capsys.readouterr().out.replace("\n", " ")
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize(("option", "warned"), [(["--wandb"], False), (["--logger", "wandb"], True)])
def test_curves_go_to_wandb_on_request(
    recipe: Path, images: Path, tmp_path: Path, wandb: Any, option: list[str], warned: bool
) -> None:
    """By the same option as in `umt run`; the option of earlier versions works, and says that it goes."""
    given = ["--recipe", str(recipe), "--images", str(images), "--out", str(tmp_path / "out"), "--device", "cpu"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        distill_command.main([*given, *option], standalone_mode=False)
    said = [str(warning.message) for warning in caught if warning.category is FutureWarning]
    assert any("--logger goes with the next release" in text for text in said) is warned
    (run,) = wandb.RUNS
    assert run.options["name"] == f"{tmp_path.name}/out"
    assert [step for step, _ in run.logged] == [2]
    assert (tmp_path / "out" / "log.jsonl").is_file()
    assert list((tmp_path / "out" / "tensorboard").iterdir())


def test_a_dry_run_says_what_it_would_cost_and_writes_nothing(
    recipe: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = umt.distill(recipe, images=images, out=tmp_path / "out", device="cpu", dry_run=True)
    assert "4 images, 2 steps of 4" in capsys.readouterr().out
    assert not path.parent.exists()


def test_wrong_arguments_say_what_to_write(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean resnet50"):
        umt.distill("resnet5")
    with pytest.raises(OptionError, match="write it as FIELD=VALUE"):
        umt.distill(recipe, changes=["training.batch"], out=tmp_path / "out")
    with pytest.raises(MissingFileError):
        umt.distill(recipe, images=tmp_path / "nowhere", out=tmp_path / "out", device="cpu")
