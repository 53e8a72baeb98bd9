"""The shipped recipes: what the paper says, models that exist, and spaces that fit their teachers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import open_clip
import pytest
import timm
import torch

from benchmarks.reproduction.experiment import load_experiment
from umt.backbones import Backbone, Features, create_backbone
from umt.backbones.adapters.pypi_weights import PACKAGES
from umt.backbones.spec import parse_spec
from umt.distill.alignment.losses import feature_loss
from umt.distill.distiller import make_spaces
from umt.distill.objectives import objective_of
from umt.distill.recipe import TeacherSpec, differences, load_recipe, recipe_names
from umt.distill.spaces.shapes import SpaceShape, StudentShape
from umt.distill.teachers.teacher import load_teacher

MINI = [name for name in recipe_names() if name.startswith("mini")]
PAPER = sorted({*recipe_names()} - {*MINI})

# Batch, rounds N and groups G of CNN modules: paper sections 4.1, A.1 and A.2.
SETTINGS = {"resnet50": (1024, 2, 128), "convnext-b": (1024, 2, 64), "vit-b": (1024, 1, None), "vit-l": (512, 1, None)}

# Widths of global target and features of each space, from the published architectures.
CNN, VIT_B, CLIP_B = (1024, 1024), (768, 768), (512, 768)
WIDTHS = {
    "resnet50": {"cls": (2048, 2048), "mae": (2048, 2048), "dino": (2048, 2048)},
    "convnext-b": {"cls": CNN, "mae": CNN, "dino": CNN},
    "convnext-b-clip-cnn-cnn": {"clip": CLIP_B, "mae": CNN, "dino": CNN},
    "convnext-b-cnn-vit-cnn": {"cls": CNN, "mae": VIT_B, "dino": CNN},
    "convnext-b-clip-vit-vit": {"clip": CLIP_B, "mae": VIT_B, "dino": VIT_B},
    "convnext-b-dinov3-cnn-vit": {"dino_cnn": CNN, "dino_vit": VIT_B},
    "vit-b": {"clip": CLIP_B, "mae": VIT_B, "dino": VIT_B},
    "vit-l": {"clip": (768, 1024), "mae": (1024, 1024), "dino": (1024, 1024)},
    "mini-cnn": {"dino": (384, 384), "dogs": (1280, 320), "cls": (1280, 352)},
    "mini-cnn-pypi": {"lite0": (1280, 320), "lite2": (1280, 352)},
    "mini-vit": {"dino": (384, 384), "dogs": (1280, 320), "cls": (1280, 352)},
    "mini-vit-pypi": {"lite0": (1280, 320), "lite2": (1280, 352)},
}

# Recipes that change one field of another.
VARIANTS = {
    "projectors": ("resnet50", "convnext-b", "vit-b", "mini-cnn", "mini-cnn-pypi"),
    "no-model-token": ("convnext-b", "mini-cnn"),
    "no-cross-space": ("convnext-b", "mini-cnn"),
    "no-intra-space": ("convnext-b", "mini-cnn"),
}
CHANGES = {
    "projectors": "interaction.method: umt, now projectors",
    "no-model-token": "interaction.model_token: True, now False",
    "no-cross-space": "interaction.cross_space: True, now False",
    "no-intra-space": "interaction.intra_space: True, now False",
}
# Recipes with the remedies of the study, and the recipe that each extends.
PLUS = {
    "umt-plus": "resnet50",
    "umt-plus-vit": "vit-b",
    "mini-cnn-plus": "mini-cnn",
    "mini-cnn-pypi-plus": "mini-cnn-pypi",
    "mini-vit-plus": "mini-vit",
}
ONE_FIELD = [(base, variant) for variant, bases in VARIANTS.items() for base in bases]


@cache
def shape_of(name: str) -> Backbone:
    """A backbone that has shapes, but no numbers and no memory."""
    options = {"device": "meta"} if name.startswith("open_clip:") else {}
    with torch.device("meta"):
        return create_backbone(name, pretrained=False, trusted=True, **options)


@cache
def last_features(name: str, side: int) -> Features:
    backbone = shape_of(name)
    multiple = backbone.preprocess.size_multiple
    side = -(-side // multiple) * multiple
    with torch.no_grad():
        return backbone(torch.zeros(1, 3, side, side, device="meta"), maps=(-1,))


def space_of(teacher: TeacherSpec, side: int) -> SpaceShape:
    features = last_features(teacher.backbone, side)
    return SpaceShape(
        teacher.name, objective_of(teacher.objective).summary(features).shape[1], features.maps[-1].shape[1]
    )


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_those_of_the_paper(name: str) -> None:
    recipe = load_recipe(name)
    batch, rounds, groups = SETTINGS[name]
    assert (recipe.training.batch, recipe.interaction.rounds) == (batch, rounds)
    assert groups in (None, recipe.interaction.groups)


@pytest.mark.parametrize("name", PAPER)
def test_every_recipe_of_the_paper_shares_its_training(name: str) -> None:
    recipe = load_recipe(name)
    assert (recipe.training.epochs, recipe.training.lr, recipe.training.precision) == (300, 1e-4, "auto")
    assert (recipe.views.size, recipe.datasets) == (224, ("imagenet",))
    assert recipe.training.batch // recipe.training.device_batch == 8, "the paper's GPUs"


def test_every_recipe_is_checked_below() -> None:
    one_field = {f"{base}-{variant}" for base, variant in ONE_FIELD}
    assert {*recipe_names()} == {*WIDTHS, "vit-l-dino-mse", *one_field, *PLUS}


@pytest.mark.parametrize("name", PLUS)
def test_plus_has_the_remedies_that_the_study_compares(name: str) -> None:
    """Teachers of the same objective have the same losses in each of these recipes."""
    (arm,) = (arm for arm in load_experiment().arms if arm.name == "Plain plus")
    studied, plus, base = load_recipe("mini-cnn-projectors", arm.changes), load_recipe(name), load_recipe(PLUS[name])
    assert (plus.alignment, plus.interaction.method) == (studied.alignment, studied.interaction.method)
    assert plus.readout is None
    assert replace(plus.interaction, method=base.interaction.method) == base.interaction
    pooled = {objective_of(teacher.objective).feature_loss: teacher.feature_loss for teacher in studied.teachers}
    for teacher, old in zip(plus.teachers, base.teachers, strict=True):
        loss = pooled.get(objective_of(teacher.objective).feature_loss, "patch_cosine_l1")
        assert teacher == replace(old, feature_loss=loss)
    untouched = ("name", "about", "otherwise", "interaction", "alignment", "readout", "teachers", "ema")
    assert {key: value for key, value in plus.record().items() if key not in untouched} == {
        key: value for key, value in base.record().items() if key not in untouched
    }


def test_plus_averages_weights_over_a_small_part_of_a_training_only() -> None:
    """The mini recipes have about 200 steps, too few for an average; the study's longer budget has 2,750."""
    (arm,) = (arm for arm in load_experiment().arms if arm.name == "Plain plus")
    studied = load_recipe("mini-cnn-projectors", arm.changes).ema
    assert studied is not None
    assert 1 / (1 - studied) < 0.05 * 2750
    for recipe in map(load_recipe, PLUS):
        if recipe.name in MINI:
            assert recipe.ema is None
        else:
            assert recipe.ema is not None
            assert 1 / (1 - recipe.ema) < 0.05 * recipe.training.steps(1_281_167)


@pytest.mark.parametrize(("base", "variant"), ONE_FIELD)
def test_a_variant_changes_one_field(base: str, variant: str) -> None:
    old, new = load_recipe(base).record(), load_recipe(f"{base}-{variant}").record()
    named = {key: old[key] for key in ("name", "about", "otherwise")}
    assert differences(old, {**new, **named}) == [CHANGES[variant]]


def test_table_5_changes_the_loss_of_one_teacher() -> None:
    cosine, mse = load_recipe("vit-l").teachers, load_recipe("vit-l-dino-mse").teachers
    assert cosine[:2] == mse[:2]
    assert (objective_of("dino").feature_loss, mse[2].feature_loss) == ("patch_cosine", "patch_mse")
    assert differences(vars(cosine[2]), vars(mse[2])) == ["feature_loss: None, now patch_mse"]


@pytest.mark.parametrize("name", recipe_names())
def test_models_and_kinds_exist(name: str) -> None:
    recipe = load_recipe(name)
    for teacher in recipe.teachers:
        feature_loss(teacher.feature_loss or objective_of(teacher.objective).feature_loss)
        spec = parse_spec(teacher.backbone)
        if spec.scheme == "open_clip":
            assert spec.name in {"/".join(pair) for pair in open_clip.list_pretrained()}
        elif spec.scheme == "pypi":
            assert spec.name in PACKAGES
        else:
            assert spec.name in (timm.list_models() if teacher.weights else timm.list_pretrained())


@pytest.mark.parametrize("name", recipe_names())
def test_weight_files_have_a_name_and_a_source_but_no_place(name: str) -> None:
    for teacher in load_recipe(name).teachers:
        assert bool(teacher.weights) == bool(teacher.source)
        assert teacher.weights is None or Path(teacher.weights).name == teacher.weights


@pytest.mark.parametrize("name", recipe_names())
def test_what_is_taken_otherwise_needs_no_file(name: str) -> None:
    otherwise = load_recipe(name).otherwise
    if otherwise is not None:
        assert not any(teacher.weights for teacher in load_recipe(otherwise).teachers)


@pytest.mark.parametrize("name", WIDTHS)
def test_teachers_have_the_published_widths(name: str) -> None:
    recipe = load_recipe(name)
    spaces = [space_of(teacher, recipe.views.size) for teacher in recipe.teachers]
    assert {space.name: (space.summary, space.features) for space in spaces} == WIDTHS[name]


@pytest.mark.parametrize("name", recipe_names())
def test_spaces_fit_their_teachers(name: str) -> None:
    recipe = load_recipe(name)
    student, features = shape_of(recipe.student), last_features(recipe.student, recipe.views.size)
    shapes = [space_of(teacher, recipe.views.size) for teacher in recipe.teachers]
    with torch.device("meta"):
        found = make_spaces(recipe.interaction, StudentShape.of(student), shapes)(features)
    side = recipe.views.size // student.strides[-1]
    for shape in shapes:
        space = found[shape.name]
        assert space.fmap.shape == (1, shape.features, side, side)
        assert space.summary is None or space.summary.shape == (1, shape.summary)
        assert (space.summary is None) == (not recipe.interaction.model_token)


@pytest.mark.parametrize("index", range(3))
def test_the_mini_recipes_have_real_teachers(real_data: Path, index: int) -> None:
    teacher = load_teacher(load_recipe("mini-cnn").teachers[index], real_data / "weights", 96, (3, 3))
    report = teacher.backbone.load_report
    assert report is not None
    assert report.missing == []
    assert teacher.size == (98 if teacher.name == "dino" else 96)
    assert teacher.widths() == WIDTHS["mini-cnn"][teacher.name]
