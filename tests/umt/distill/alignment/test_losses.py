"""Losses by their formulas in float64 NumPy, their gradients by finite differences, and what each ignores."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.distill.alignment.losses import (
    FEATURE_LOSSES,
    SUMMARY_LOSSES,
    Dispersions,
    cosine,
    cosine_l1,
    feature_loss,
    mse,
    relational,
    smooth_l1,
    squared_angle,
    summary_loss,
)
from umt.errors import UMTError


@pytest.fixture
def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(6, 5, generator=generator), 3 * torch.randn(6, 5, generator=generator)


def numpy_cosine(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(student, axis=1) * np.linalg.norm(teacher, axis=1)
    return 1 - (student * teacher).sum(axis=1) / norms


def numpy_smooth_l1(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    difference = np.abs(student - teacher)
    return np.where(difference < 1, difference**2 / 2, difference - 0.5)


def numpy_relational(student: np.ndarray, teacher: np.ndarray) -> np.ndarray:
    def relations(values: np.ndarray) -> np.ndarray:
        distances = np.linalg.norm(values[:, None] - values[None], axis=2)
        return distances / distances[~np.eye(len(values), dtype=bool)].mean()

    ours, theirs = relations(student), relations(teacher)
    losses = np.zeros(len(student))
    others = np.sort(theirs[~np.eye(len(theirs), dtype=bool)])
    median = others[(len(others) - 1) // 2]
    for i in range(len(student)):
        for j in range(len(student)):
            if i != j:
                excess = ours[i, j] - theirs[i, j]
                losses[i] += max(excess if theirs[i, j] <= median else -excess, 0) ** 2
    return losses / (len(student) - 1)


def test_cosine_l1_is_nine_tenths_cosine(pair: tuple[Tensor, Tensor]) -> None:
    student, teacher = (values.double().numpy() for values in pair)
    expected = 0.9 * numpy_cosine(student, teacher) + 0.1 * numpy_smooth_l1(student, teacher).mean(axis=1)
    assert cosine_l1(*pair).numpy() == pytest.approx(expected, rel=1e-5)
    maps = [values[:, :, None, None].expand(-1, -1, 2, 3) for values in pair]
    assert cosine_l1(*maps).shape == (6, 2, 3)
    assert cosine_l1(*maps)[:, 1, 2].numpy() == pytest.approx(expected, rel=1e-5)


def test_smooth_l1_is_half_the_square_up_to_one(pair: tuple[Tensor, Tensor]) -> None:
    student, teacher = (values.double().numpy() for values in pair)
    assert smooth_l1(*pair).numpy() == pytest.approx(numpy_smooth_l1(student, teacher), rel=1e-5)


def test_squared_angle_is_that_of_the_arc_cosine(pair: tuple[Tensor, Tensor]) -> None:
    student, teacher = (values.double().numpy() for values in pair)
    assert squared_angle(*pair).numpy() == pytest.approx(np.arccos(1 - numpy_cosine(student, teacher)) ** 2, rel=1e-5)


@pytest.mark.parametrize("factor", [1.0, -1.0, 2.0])
def test_squared_angle_has_a_finite_gradient_at_equal_and_opposite_vectors(factor: float) -> None:
    student = torch.tensor([[1.0, 2.0, -1.0]], requires_grad=True)
    angle = squared_angle(student, factor * student.detach())
    angle.sum().backward()
    assert angle.item() == pytest.approx(0 if factor > 0 else np.pi**2, abs=1e-5)
    assert student.grad is not None
    assert student.grad.isfinite().all()


def test_relational_is_the_formula_pair_by_pair(pair: tuple[Tensor, Tensor]) -> None:
    student, teacher = (values.double().numpy() for values in pair)
    assert relational(*pair).numpy() == pytest.approx(numpy_relational(student, teacher), rel=1e-4, abs=1e-6)


def test_relational_ignores_scale_rotation_and_width(pair: tuple[Tensor, Tensor]) -> None:
    student = pair[0]
    rotation = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(1)))[0][:5]
    assert relational(10 * student, student).max().item() < 1e-9
    assert relational(student @ rotation, student).max().item() < 1e-9


def test_relational_keeps_float32_under_autocast(pair: tuple[Tensor, Tensor]) -> None:
    expected = relational(*pair)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(relational(*pair), expected)


def test_relational_of_one_image_is_zero_and_has_a_gradient() -> None:
    student = torch.ones(1, 3, requires_grad=True)
    relational(student, torch.ones(1, 4)).sum().backward()
    assert student.grad is not None
    assert not student.grad.any()


@pytest.mark.parametrize("name", [*SUMMARY_LOSSES, "relational"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    """In float32, as the losses compute: against central differences along a random direction."""
    generator = torch.Generator().manual_seed(3)
    student, teacher, direction = (torch.randn(5, 4, generator=generator) for _ in range(3))
    distance = SUMMARY_LOSSES.get(name, relational)
    student.requires_grad_()
    distance(student, teacher).mean().backward()
    assert student.grad is not None
    slope = (student.grad * direction).sum().item()
    step = 1e-2
    with torch.no_grad():
        ahead, behind = (distance(student + sign * step * direction, teacher).mean() for sign in (1, -1))
    assert slope == pytest.approx((ahead - behind).item() / (2 * step), rel=2e-2, abs=1e-3)


@pytest.mark.parametrize("name", FEATURE_LOSSES)
def test_every_feature_loss_is_zero_at_its_target_and_keeps_the_images_apart(name: str) -> None:
    loss = FEATURE_LOSSES[name]
    target = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    target = target if loss.pooled else target[:, :, None, None].expand(-1, -1, 2, 2)
    assert loss.distance(target, target).abs().max().item() < 1e-6
    changed = target.clone()
    changed[1] += torch.randn(changed[1].shape, generator=torch.Generator().manual_seed(1))
    each = loss.distance(changed, target).flatten(1) if not loss.pooled else loss.distance(changed, target)[:, None]
    assert each[1].max() > 0.01
    assert each[0].abs().max() < 1e-6
    assert each[2].abs().max() < 1e-6


def test_a_wide_and_a_narrow_cone_cost_the_same_after_division_by_their_dispersions() -> None:
    """A student that gives the mean direction for every image has the loss 1, whatever the teacher's cone."""
    generator = torch.Generator().manual_seed(0)
    dispersions = Dispersions(("narrow", "wide"))
    centre = F.normalize(torch.randn(64, generator=generator), dim=0)
    for name, spread in (("narrow", 0.02), ("wide", 0.3)):
        summaries = 7 * (centre + spread * torch.randn(500, 64, generator=generator))
        dispersions.fit(name, summaries)
        mean = F.normalize(summaries, dim=1).mean(dim=0).expand_as(summaries)
        assert dispersions(name, squared_angle(mean, summaries)).mean().item() == pytest.approx(1, rel=1e-5)
    assert dispersions.get_buffer("wide") > 20 * dispersions.get_buffer("narrow")
    assert torch.equal(dispersions("other", torch.ones(2)), torch.ones(2))


def test_unknown_losses_list_the_known_ones() -> None:
    with pytest.raises(UMTError, match=r"unknown feature loss 'l1'.*patch_mse"):
        feature_loss("l1")
    with pytest.raises(UMTError, match=r"unknown summary loss 'angle'.*angular"):
        summary_loss("angle")


def by_hand_cosine(a: list[float], b: list[float]) -> float:
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    return 1 - dot / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


@pytest.fixture
def maps() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(3, 5, 2, 4, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def test_pooled_cosine(maps: tuple[Tensor, Tensor]) -> None:
    ours, theirs = (fmap.mean(dim=(2, 3)) for fmap in maps)
    expected = sum(by_hand_cosine(a.tolist(), b.tolist()) for a, b in zip(ours, theirs, strict=True)) / 3
    assert FEATURE_LOSSES["pooled_cosine"].pooled
    assert cosine(ours, theirs).mean().item() == pytest.approx(expected, abs=1e-6)


def test_patch_cosine_is_the_mean_over_cells(maps: tuple[Tensor, Tensor]) -> None:
    cells = [
        by_hand_cosine(maps[0][image, :, row, column].tolist(), maps[1][image, :, row, column].tolist())
        for image in range(3)
        for row in range(2)
        for column in range(4)
    ]
    assert not FEATURE_LOSSES["patch_cosine"].pooled
    assert cosine(*maps).mean().item() == pytest.approx(sum(cells) / len(cells), abs=1e-6)


def test_patch_mse_is_the_mean_over_all_elements(maps: tuple[Tensor, Tensor]) -> None:
    ours, theirs = (fmap.flatten().tolist() for fmap in maps)
    expected = sum((a - b) ** 2 for a, b in zip(ours, theirs, strict=True)) / len(ours)
    assert FEATURE_LOSSES["patch_mse"].distance(*maps).mean().item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("distance", [cosine, mse])
def test_losses_are_taken_in_float32_whatever_comes(distance: object, maps: tuple[Tensor, Tensor]) -> None:
    half = distance(*(fmap.bfloat16() for fmap in maps))  # type: ignore[operator]
    assert half.dtype == torch.float32
    assert half.mean().item() == pytest.approx(distance(*maps).mean().item(), rel=0.02)  # type: ignore[operator]
