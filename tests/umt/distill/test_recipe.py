"""Recipes: inherited, changed from the command line, compared; every mistake is one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from umt.backbones.checkpoint import Readout
from umt.distill.recipe import (
    differences,
    load_recipe,
    missing_weights,
    recipe_names,
)
from umt.distill.train import claim_folder
from umt.errors import UMTError

BASE = """
about: test
student: timm:test_resnet
otherwise: other
teachers:
  - {name: cls, objective: classification, backbone: "timm:test_convnext"}
  - {name: dino, objective: dino, backbone: "timm:test_vit", weights: dino.pth, source: "download it from example.org"}
interaction: {rounds: 2, groups: 8}
training: {epochs: 2, batch: 8, device_batch: 4, lr: 1, warmup_epochs: 0, weight_decay: 0, betas: [0.9, 0.95],
           clip_norm: null, precision: fp32}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base.yaml"
    path.write_text(BASE)
    return path


def child(base: Path, text: str, name: str = "child") -> str:
    path = base.parent / f"{name}.yaml"
    path.write_text(f"extends: base\n{text}")
    return str(path)


def test_a_file_is_a_recipe(base: Path) -> None:
    recipe = load_recipe(str(base))
    assert recipe.name == "base"
    assert [teacher.name for teacher in recipe.teachers] == ["cls", "dino"]
    assert (recipe.training.lr, recipe.training.betas, recipe.training.clip_norm) == (1.0, (0.9, 0.95), None)
    assert recipe.views.size == 224


def test_the_field_kind_of_version_0_1_works_with_a_warning(base: Path) -> None:
    base.write_text(BASE.replace("objective:", "kind:"))
    with pytest.warns(FutureWarning, match=r"base\.yaml: field 'kind' of a teacher is now called 'objective'"):
        recipe = load_recipe(str(base), ["teachers.dino.kind=mae"])
    assert [teacher.objective for teacher in recipe.teachers] == ["classification", "mae"]


def test_a_folder_that_version_0_1_began_belongs_to_the_same_recipe(base: Path, tmp_path: Path) -> None:
    recipe, folder = load_recipe(str(base)), tmp_path / "out"
    claim_folder(folder, recipe)
    written = (folder / "recipe.yaml").read_text()
    assert "objective: dino" in written
    (folder / "recipe.yaml").write_text(written.replace("objective:", "kind:"))
    assert not claim_folder(folder, recipe)
    assert (folder / "recipe.yaml").read_text() == written
    with pytest.raises(UMTError, match="belongs to a run with another recipe"):
        claim_folder(folder, load_recipe(str(base), ["teachers.dino.objective=mae"]))


def test_a_checkpoint_keeps_the_older_name(base: Path) -> None:
    """By a digest of these values reports tell students of different recipes apart."""
    teachers = load_recipe(str(base)).record()["teachers"]
    assert [(teacher["kind"], "objective" in teacher) for teacher in teachers] == [
        ("classification", False),
        ("dino", False),
    ]


def test_a_child_changes_single_fields_of_the_groups(base: Path) -> None:
    recipe = load_recipe(child(base, "about: other\ninteraction: {rounds: 1}\ntraining: {epochs: 4}"))
    assert (recipe.name, recipe.about) == ("child", "other")
    assert (recipe.interaction.rounds, recipe.interaction.groups) == (1, 8)
    assert (recipe.training.epochs, recipe.training.batch) == (4.0, 8)
    assert recipe.otherwise is None, "what a recipe falls back to is its own affair"


def test_a_child_replaces_the_teachers_as_a_whole(base: Path) -> None:
    recipe = load_recipe(child(base, "teachers: [{name: mae, objective: mae, backbone: timm:test_vit}]"))
    assert [teacher.name for teacher in recipe.teachers] == ["mae"]


def test_a_child_changes_fields_of_single_teachers_by_their_names(base: Path) -> None:
    base.write_text(f"{BASE}readout: {{classification: cls, dense: dino}}\n")
    recipe = load_recipe(child(base, "teachers: {dino: {feature_loss: patch_mse, weight: 0.5}}"))
    parent = load_recipe(str(base))
    assert [teacher.name for teacher in recipe.teachers] == ["cls", "dino"]
    assert recipe.teachers[0] == parent.teachers[0]
    assert recipe.teachers[1] == replace(parent.teachers[1], feature_loss="patch_mse", weight=0.5)
    assert recipe.readout == parent.readout


def test_a_readout_names_heads_of_the_recipes_own_teachers(base: Path) -> None:
    text = "readout: {classification: cls, dense: dino}\n"
    other = "teachers: [{name: mae, objective: mae, backbone: timm:test_vit}]\n"
    assert load_recipe(child(base, text)).readout == Readout("cls", "dino")
    assert load_recipe(child(base, text), ["readout.classification=dino"]).readout == Readout("dino", "dino")
    assert load_recipe(child(base, text), ["readout=null"]).readout is None
    child(base, text, "parent")
    grandchild = base.parent / "grandchild.yaml"
    grandchild.write_text(f"extends: parent\n{other}")
    assert load_recipe(str(grandchild)).readout is None, "its heads are gone"
    with pytest.raises(UMTError, match=r"unknown readout.classification of recipe 'grandchild' 'cls'.*Known: mae"):
        grandchild.write_text(f"extends: parent\n{other}{text}")
        load_recipe(str(grandchild))


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_says_how_its_student_is_read_out(name: str) -> None:
    """Paper, section A.6 and table 4: class and dense heads differ for students of CNNs alone, by CLS and DINO.

    The study found heads worse than their backbone, so that its recipes are read without one.
    """
    readout = load_recipe(name).readout
    assert (readout is None) == ("plus" in name)
    if name in ("resnet50", "convnext-b"):
        assert readout == Readout("cls", "dino")
    if name.startswith("vit") or name in ("convnext-b-clip-vit-vit", "convnext-b-cnn-vit-cnn"):
        assert readout == Readout("dino", "dino")


def test_a_file_extends_a_shipped_recipe(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: mini-cnn-pypi\nseed: 3\n")
    assert load_recipe(str(tmp_path / "mine.yaml")).student == load_recipe("mini-cnn-pypi").student


def test_changes_reach_every_depth(base: Path) -> None:
    changes = [
        "training.batch=64",
        "teachers.dino.objective=mae",
        "interaction.width=null",
        "views.scale=[0.5, 1]",
        "ema=0.9",
    ]
    recipe = load_recipe(str(base), changes)
    assert (recipe.training.batch, recipe.teachers[1].objective, recipe.interaction.width) == (64, "mae", None)
    assert (recipe.views.scale, recipe.ema) == ((0.5, 1), 0.9)
    assert load_recipe(str(base)).training.batch == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.batch", "--set training.batch: write it as FIELD=VALUE"),
        ("training.bach=8", "unknown field 'bach'. Did you mean batch"),
        ("trainin.batch=8", "unknown field 'trainin'. Did you mean training"),
        ("training.batch=many", "field 'batch' is 'many', expected int"),
        ("teachers.dinov3.objective=mae", "unknown teacher 'dinov3'. Did you mean dino?"),
        ("student.name=x", "--set student.name=x: 'student' has no fields"),
        ("student.name.first=x", "--set student.name.first=x: 'name' has no fields"),
        ("training.batch=6", "batch 6 is not a multiple of device_batch 4"),
        ("teachers=[]", "field 'teachers' is empty"),
    ],
)
def test_wrong_changes_are_named(base: Path, change: str, message: str) -> None:
    with pytest.raises(UMTError) as caught:
        load_recipe(str(base), [change])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("interactions: {rounds: 1}", "child.yaml: unknown field 'interactions'. Did you mean interaction"),
        ("interaction: {round: 1}", "field 'interaction': unknown field 'round'. Did you mean"),
        ("student: 5", "field 'student' is 5, expected str"),
        ("teachers: {dina: {weight: 2}}", "child.yaml 'dina'. Did you mean dino"),
        ("teachers: {dino: 2}", "child.yaml: field 'teachers.dino' is 2, expected fields of the teacher"),
        ("teachers: {dino: {weigth: 2}}", "field 'teachers': unknown field 'weigth'. Did you mean weight"),
        ("teachers: [{name: a, objective: dino}]", "field 'teachers': field 'backbone' is missing"),
        (
            "teachers: [{name: a, objective: dino, backbone: b}, {name: a, objective: mae, backbone: c}]",
            "recipe 'child': teacher name 'a' is listed twice",
        ),
        (
            "teachers: [{name: a, objective: dino, backbone: b}, {name: c, objective: mae, backbone: b}]",
            "recipe 'child': teacher backbone 'b' is listed twice",
        ),
    ],
)
def test_mistakes_in_a_file_are_named(base: Path, text: str, message: str) -> None:
    with pytest.raises(UMTError) as caught:
        load_recipe(child(base, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_architecture_with_two_weight_files_is_two_teachers(base: Path) -> None:
    first, second = (
        "{name: a, objective: dino, backbone: b, weights: 1.pth}",
        "{name: c, objective: mae, backbone: b, weights: 2.pth}",
    )
    assert len(load_recipe(child(base, f"teachers: [{first}, {second}]")).teachers) == 2


def test_unknown_recipes_are_named(base: Path) -> None:
    with pytest.raises(UMTError, match=r"unknown recipe 'restnet50'\. Did you mean resnet50"):
        load_recipe("restnet50")
    base.write_text("extends: nothing\n")
    with pytest.raises(UMTError, match="unknown recipe 'nothing'"):
        load_recipe(str(base))


def test_a_circle_is_named(base: Path) -> None:
    text = child(base, "about: test")
    base.write_text("extends: child\n")
    with pytest.raises(UMTError, match="'extends' leads back to the recipe itself"):
        load_recipe(text)


def test_differences_are_named_by_their_paths(base: Path) -> None:
    old, new = (load_recipe(str(base), changes).record() for changes in ([], ["training.lr=2", "ema=0.99"]))
    assert differences(old, new) == ["ema: None, now 0.99", "training.lr: 1.0, now 2.0"]
    assert differences(old, old) == []


def test_missing_weight_files_are_named_with_their_remedy(base: Path, tmp_path: Path) -> None:
    recipe = load_recipe(str(base))
    assert missing_weights(recipe, tmp_path) == [
        f"teacher 'dino': weight file {tmp_path / 'dino.pth'} is not there; download it from example.org, "
        "or name another folder with --weights DIR"
    ]
    (tmp_path / "dino.pth").touch()
    assert missing_weights(recipe, tmp_path) == []


def test_a_record_holds_plain_values_at_every_depth(base: Path) -> None:
    record = load_recipe(str(base)).record()
    assert record["teachers"][1]["weights"] == "dino.pth"
    assert record["training"]["betas"] == (0.9, 0.95)


@pytest.mark.parametrize("name", ["convnext-b-clip-vit-vit", "vit-b", "vit-l"])
def test_spaces_have_the_width_of_teachers_that_share_one(name: str) -> None:
    """Equation 1; the width of each ViT is that of timm's architecture, ViT-B 768 and ViT-L 1024."""
    recipe = load_recipe(name)
    widths = {1024 if "large" in item.backbone or "ViT-L" in item.backbone else 768 for item in recipe.teachers}
    student = {"timm:convnext_base": 1024, "timm:vit_base_patch16_224": 768, "timm:vit_large_patch16_224": 1024}
    assert {recipe.interaction.width or student[recipe.student]} == widths


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("dataset_weights.cub=2", r"dataset_weights of recipe.*'cub'"),
        ("dataset_weights.imagenet=0", r"dataset_weights.imagenet is 0.0; take more than 0"),
    ],
)
def test_a_weight_belongs_to_a_data_set_and_is_positive(change: str, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        load_recipe("resnet50", [change])
