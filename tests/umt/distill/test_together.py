"""Students of one pass: each is the one that it would be alone, and recipes that cannot share a pass say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import umt
from tests.umt.distill.test_train import RECIPE, weights, write_images
from umt.distill.api import distill_students
from umt.distill.recipe import load_recipe
from umt.distill.together import check_recipes
from umt.errors import UMTError

LOSSES = {"standardise": "mean_std", "balance": "magnitude"}


@pytest.fixture
def recipes(tmp_path: Path) -> tuple[Path, Path]:
    """A CNN and a ViT of the same teachers, with other cells, widths, losses and learning rates."""
    teachers: Any = [dict(teacher) for teacher in reversed(RECIPE["teachers"])]  # type: ignore[call-overload]
    teachers[0] |= {"feature_loss": "patch_mse", "weight": 2.0}
    vit = RECIPE | {
        "student": "timm:test_vit?img_size=64",
        "teachers": teachers,
        "interaction": {"method": "projectors"},
        "alignment": LOSSES,
        "training": {**RECIPE["training"], "lr": 3.0e-3},  # type: ignore[dict-item]
    }
    paths = tmp_path / "cnn.yaml", tmp_path / "vit.yaml"
    for path, content in zip(paths, (RECIPE, vit), strict=True):
        path.write_text(yaml.safe_dump(content))
    return paths


def test_each_student_is_the_one_that_it_would_be_alone(recipes: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    given: dict[str, Any] = {"images": write_images(tmp_path / "images"), "device": "cpu", "quiet": True}
    first = umt.distill(recipes[0], also=[str(recipes[1])], out=tmp_path / "both", **given)
    assert first == tmp_path / "both" / "cnn" / "student.pth"
    for recipe in recipes:
        umt.distill(recipe, out=tmp_path / f"alone-{recipe.stem}", **given)
        together, alone = weights(tmp_path / "both" / recipe.stem), weights(tmp_path / f"alone-{recipe.stem}")
        assert together.keys() == alone.keys()
        assert [name for name, value in alone.items() if not torch.equal(value, together[name])] == []
        files = [tmp_path / folder / "student.pth" for folder in (f"both/{recipe.stem}", f"alone-{recipe.stem}")]
        ours, theirs = (umt.create_backbone(f"{file}#dino").provenance for file in files)
        assert ours["losses"] == theirs["losses"]
        assert ours["curve"] == theirs["curve"]
    umt.distill(recipes[0], also=str(recipes[1]), out=tmp_path / "both", **given)  # there is nothing to do any more


def test_students_that_can_share_a_pass_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three students of two recipes, one of which has other views: each is the one that it would be alone."""
    for part in ("train", "val"):
        folder = tmp_path / "data" / "imagenet" / part / "n01440764"
        folder.mkdir(parents=True)
        write_images(folder)
    recipe = tmp_path / "small.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | {"datasets": ["imagenet"]}))
    changes = {"all": (), "No token": ("interaction.model_token=false",), "large": ("views.size=96",)}
    orders = [
        {"recipe": str(recipe), "changes": change, "out": tmp_path / "together" / name}
        for name, change in changes.items()
    ]
    distill_students(orders, data_root=tmp_path / "data", device="cpu", dry_run=True)
    assert not (tmp_path / "together").exists()
    assert "No token" in capsys.readouterr().out
    paths = distill_students(orders, data_root=tmp_path / "data", device="cpu", quiet=True)
    assert (tmp_path / "together" / "all,No token" / "log.jsonl").is_file()
    for path, change in zip(paths, changes.values(), strict=True):
        given = {"changes": change, "data_root": tmp_path / "data", "device": "cpu", "quiet": True}
        alone = umt.distill(recipe, out=tmp_path / "alone" / path.parent.name, **given)
        ours, theirs = weights(path.parent), weights(alone.parent)
        assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
        assert umt.create_backbone(f"{path}#dino").provenance["curve"].keys() > {"loss", "dino feature"}


def test_stored_targets_need_no_shared_pass(recipes: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="--targets with --also"):
        umt.distill(recipes[0], also=[str(recipes[1])], targets=tmp_path, out=tmp_path / "out", quiet=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["views.size=64"], r"mini-cnn-pypi and mini-vit-pypi cannot learn together: views.size: 96, now 64; make"),
        (["teachers.lite0.size=128"], r"teachers.lite0.size: None, now 128"),
        (["training.batch=128"], r"training.batch: 64, now 128"),
    ],
)
def test_recipes_that_cannot_share_a_pass_name_the_field(changes: list[str], message: str) -> None:
    check_recipes([load_recipe("mini-cnn-pypi"), load_recipe("mini-vit-pypi")])
    with pytest.raises(UMTError, match=message):
        check_recipes([load_recipe("mini-cnn-pypi"), load_recipe("mini-vit-pypi", changes)])


def test_two_students_need_two_names() -> None:
    recipe = load_recipe("mini-cnn-pypi")
    with pytest.raises(UMTError, match="mini-cnn-pypi is named twice"):
        check_recipes([recipe, recipe])
