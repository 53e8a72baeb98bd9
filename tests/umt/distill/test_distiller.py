"""A training step: losses by hand, gradients, frozen parts, precision, and memorising a few images."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.backbones import create_backbone
from umt.distill.alignment.shift import Shift
from umt.distill.distiller import Distiller, as_floats, loss_of
from umt.distill.recipe import DistillRecipe, TeacherSpec
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher
from umt.errors import UMTError

Recipes = Callable[..., DistillRecipe]
Distillers = Callable[..., Distiller]


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_the_loss_is_the_sum_of_token_and_feature_losses(
    recipe: Recipes, distiller: Distillers, images: Tensor
) -> None:
    """Against the paper's A.3 written out in float64: an image classifier and a DINO teacher."""
    model = distiller(recipe()).eval()
    out = model(images)
    floats = as_floats(images)
    spaces = model.spaces(model.student(floats))
    classifier, dino = (teacher.backbone(floats) for teacher in model.teachers)
    squares = [
        (spaces["lite0"].summary.double() - classifier.pooled.double()).square().mean(),
        (spaces["lite2"].summary.double() - dino.cls.double()).square().mean(),
    ]
    pooled = [fmap.double().mean(dim=(2, 3)) for fmap in (spaces["lite0"].fmap, classifier.maps[-1])]
    teacher_map = F.interpolate(dino.maps[-1].double(), (2, 2), mode="bilinear", antialias=True)
    cosines = [
        1 - F.cosine_similarity(*pooled).mean(),
        1 - F.cosine_similarity(spaces["lite2"].fmap.double(), teacher_map).mean(),
    ]
    assert out["lite0 token"].item() == pytest.approx(squares[0].item(), rel=1e-5)
    assert out["lite2 token"].item() == pytest.approx(squares[1].item(), rel=1e-5)
    assert out["lite0 feature"].item() == pytest.approx(cosines[0].item(), rel=1e-5)
    assert out["lite2 feature"].item() == pytest.approx(cosines[1].item(), rel=1e-5)
    assert out["loss"].item() == pytest.approx(sum(x.item() for x in (*squares, *cosines)), rel=1e-5)


def test_student_and_spaces_learn_and_teachers_do_not(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    model = distiller(recipe("teachers.lite0.backbone=timm:test_resnet?pretrained=false"))
    before = [
        {name: value.clone() for name, value in teacher.backbone.state_dict().items()} for teacher in model.teachers
    ]
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # residual branches begin at zero, and hide what is in them in the first step
        optimiser.step()
        optimiser.zero_grad()
        model(images)["loss"].backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []
    for teacher, state in zip(model.teachers, before, strict=True):
        assert not teacher.backbone.training
        assert all(value.grad is None and not value.requires_grad for value in teacher.backbone.parameters())
        after = teacher.backbone.state_dict()
        assert any("running_mean" in name for name in model.teachers[0].backbone.state_dict())
        assert all(torch.equal(after[name], value) for name, value in state.items())


def test_teachers_are_no_part_of_the_model(recipe: Recipes, distiller: Distillers) -> None:
    model = distiller(recipe())
    assert {name.split(".")[0] for name in model.state_dict()} <= {"student", "spaces", "balance"}


def test_without_a_model_token_there_is_no_token_loss(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    out = distiller(recipe("interaction.model_token=false"))(images)
    assert set(out) == {"loss", "lite0 feature", "lite2 feature"}


@pytest.mark.parametrize("count", [1, 4])
def test_any_number_of_teachers(count: int, recipe: Recipes, images: Tensor) -> None:
    spec = recipe()
    names = [f"t{index}" for index in range(count)]
    backbone = create_backbone("timm:test_convnext?pretrained=false")
    specs = tuple(
        TeacherSpec(name, "mae", f"timm:test_convnext?drop_rate=0.{index}") for index, name in enumerate(names)
    )
    teachers = [Teacher(item, backbone, 64, (2, 2)) for item in specs]
    many = DistillRecipe(**{**vars(spec), "teachers": specs, "readout": None})
    shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
    model = Distiller(many, create_backbone("timm:test_resnet?pretrained=false"), shapes, teachers)
    assert len(model(images)) == 1 + 2 * count


def test_targets_from_a_cache_give_the_same_loss(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    model = distiller(recipe()).eval()
    cached = {teacher.name: teacher(as_floats(images)) for teacher in model.teachers}
    targets = {name: [value.summary, value.features] for name, value in cached.items()}
    assert torch.equal(model(images)["loss"], model(images, targets)["loss"])


def test_bf16_autocast_changes_losses_by_rounding_only(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    model = distiller(recipe()).eval()
    with torch.autocast("cpu", torch.bfloat16):
        rounded = model(images)
    assert rounded["loss"].dtype == torch.float32
    assert rounded["loss"].item() == pytest.approx(model(images)["loss"].item(), rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("student", ["timm:test_convnext", "timm:test_vit?img_size=64"])
def test_every_loss_can_be_learnt(student: str, recipe: Recipes, distiller: Distillers) -> None:
    """Sixty-four images, seen again and again: every loss falls below a tenth of its start."""
    model = distiller(recipe("interaction.heads=4", "interaction.rounds=1", student=student))
    coarse = torch.rand(64, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    images = F.interpolate(coarse, (64, 64), mode="bilinear")
    cached = [(teacher.name, teacher(images)) for teacher in model.teachers]
    targets = {name: [value.summary, value.features] for name, value in cached}
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0)
    first: dict[str, float] = {}
    losses: dict[str, Tensor] = {}
    for _ in range(400):
        losses = model(images, targets)
        first = first or {name: value.item() for name, value in losses.items()}
        if all(value.item() < 0.1 * first[name] for name, value in losses.items()):
            return
        optimiser.zero_grad()
        losses["loss"].backward()
        optimiser.step()
    pytest.fail(f"not learnt: {losses} of {first}")


def test_a_recipe_may_choose_a_teachers_loss(recipe: Recipes) -> None:
    changed = recipe("teachers.lite2.feature_loss=patch_mse").teachers[1]
    assert loss_of(changed).distance.__name__ == "mse"
    with pytest.raises(UMTError, match=r"unknown feature loss 'l1'.*patch_mse"):
        loss_of(recipe("teachers.lite2.feature_loss=l1").teachers[1])


def test_unknown_method_and_kind_list_the_known_ones(recipe: Recipes, distiller: Distillers) -> None:
    with pytest.raises(UMTError, match=r"unknown interaction.method 'radio'.*projectors"):
        distiller(recipe("interaction.method=radio"))
    with pytest.raises(UMTError, match=r"unknown objective of a teacher 'sam'.*classification"):
        distiller(recipe("teachers.lite2.objective=sam"))


def test_token_weight_and_teacher_weights_follow_their_schedules(
    recipe: Recipes, distiller: Distillers, images: Tensor
) -> None:
    model = distiller(
        recipe("alignment.token_weight=[[0, 1], [0.5, 0]]", "teachers.lite2.weight=[[0.5, 2], [1, 4]]")
    ).eval()
    for step, token, second in ((0, 1.0, 2.0), (1, 0.5, 2.0), (2, 0.0, 2.0), (3, 0.0, 3.0)):
        model.at_step(step, 4)
        out = {name: value.item() for name, value in model(images).items()}
        expected = out["lite0 feature"] + token * out["lite0 token"]
        expected += second * (out["lite2 feature"] + token * out["lite2 token"])
        assert out["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("alignment.token_weight=[[0.5, 1], [0.5, 2]]", r"token_weight.*shares that rise"),
        ("teachers.lite2.weight=-1", r"teachers.lite2.weight holds -1.0"),
        ("alignment.relation=-0.5", r"alignment.relation holds -0.5"),
        ("alignment.shift=-1", r"alignment.shift is -1"),
        ("alignment.shift=2", r"alignment.shift of 2 cells moves a view of 64 pixels out of itself; take fewer than 2"),
        ("alignment.student_sizes=[64, 40]", r"alignment.student_sizes 40 is not a multiple of 32.*take 32"),
        ("alignment.standardise_summary=phis", r"unknown alignment.standardise 'phis'.*phi_s"),
        ("teachers.lite2.summary_loss=angle", r"unknown summary loss 'angle'.*angular"),
    ],
)
def test_alignment_that_cannot_be_used_names_its_field(
    change: str, message: str, recipe: Recipes, distiller: Distillers
) -> None:
    with pytest.raises(UMTError, match=message):
        distiller(recipe(change))


def test_the_relational_loss_is_a_third_part(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    out = {name: value.item() for name, value in distiller(recipe("alignment.relation=0.5")).eval()(images).items()}
    parts = {name: 0.5 if name.endswith("relation") else 1 for name in out if name != "loss"}
    assert len(parts) == 6
    assert out["lite0 relation"] > 0
    assert out["loss"] == pytest.approx(sum(weight * out[name] for name, weight in parts.items()), rel=1e-5)
    assert "lite0 relation" in distiller(recipe("alignment.relation=0.5", "interaction.model_token=false"))(images)


def test_dropped_teachers_leave_every_image_its_worst(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    """With nearly every other teacher left out, the loss is the mean over images of the larger of both losses."""
    changes = ("alignment.teacher_drop=0.999999", "alignment.token_weight=0.0")
    model = distiller(recipe(*changes)).eval()
    single = [model(images[index : index + 1]) for index in range(len(images))]
    largest = [max(out["lite0 feature"].item(), out["lite2 feature"].item()) for out in single]
    assert model(images)["loss"].item() == pytest.approx(sum(largest) / len(images), rel=1e-4)


def test_a_shift_compares_cells_of_the_same_place(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    """The loss by hand for the shift that the seed draws; the pooled teacher's loss sees the whole moved view."""
    model = distiller(recipe("alignment.shift=1")).eval()
    torch.manual_seed(1)
    down, right = torch.randint(-1, 2, (2,)).tolist()
    assert (down, right) != (0, 0)
    torch.manual_seed(1)
    out = model(images)
    floats = as_floats(images)
    moved = Shift(down, right).move(floats, 32)
    fmap = model.spaces(model.student(moved))["lite2"].fmap
    target = model.teachers[1](floats).features
    expected = (1 - F.cosine_similarity(*Shift(down, right).common(fmap, target))).mean()
    assert out["lite2 feature"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_drawn_size_is_the_students_alone(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    """The loss by hand: the student sees a smaller view, and the teacher's cells are brought onto its own."""
    model = distiller(recipe("alignment.student_sizes=[32]")).eval()
    small = F.interpolate(as_floats(images), (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    fmap = model.spaces(model.student(small))["lite2"].fmap
    cells = F.interpolate(model.teachers[1](as_floats(images)).features, (1, 1), mode="bilinear", antialias=True)
    expected = (1 - F.cosine_similarity(fmap, cells)).mean()
    assert model(images)["lite2 feature"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_every_size_of_the_student_is_drawn(recipe: Recipes, distiller: Distillers, images: Tensor) -> None:
    model, seen = distiller(recipe("alignment.student_sizes=[32, 64, 96]")).eval(), set()
    model.student.register_forward_pre_hook(lambda module, inputs: seen.add(inputs[0].shape[-1]))
    for _ in range(30):
        model(images)
    assert seen == {32, 64, 96}


def test_register_tokens_and_stochastic_depth_are_the_students(recipe: Recipes, distiller: Distillers) -> None:
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    student = "timm:test_vit?img_size=64&reg_tokens=4&drop_path_rate=0.5"
    model = distiller(recipe("interaction.heads=2", student=student)).train()
    losses = {model(images)["loss"].item() for _ in range(4)}
    assert len(losses) > 1
    model(images)["loss"].backward()
    gradient = model.student.get_parameter("model.reg_token").grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
    assert len({model.eval()(images)["loss"].item() for _ in range(2)}) == 1


@pytest.mark.parametrize("balance", ["gradient", "uncertainty"])
def test_every_balance_gives_gradients_to_student_and_spaces(
    balance: str, recipe: Recipes, distiller: Distillers, images: Tensor
) -> None:
    model = distiller(recipe(f"alignment.balance={balance}")).train()
    model(images)["loss"].backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None]
    assert silent == []
