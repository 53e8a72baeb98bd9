"""Costs against counts made by hand, and the estimate's words."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from umt.distill.cost import CostPart, cost_table, measure_cost, step_seconds
from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe
from umt.text import duration


def test_parameters_and_multiply_adds_are_those_of_the_layers(
    recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]
) -> None:
    """The interaction of one round, by its matrices: projections, convolutions, head and adapters."""
    model = distiller(recipe("interaction.rounds=1", "interaction.groups=8"))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    images = torch.rand(2, 3, 64, 64)
    parts = {part.name: part for part in measure_cost(model, model.teachers, images)}
    assert list(parts) == ["student", "teacher lite0", "teacher lite2", "interaction"]
    spaces, width, cells, out = 2, 96, 2 * 2, 64
    convolved = 3 * 3  # cells: a map smaller than its kernel is enlarged
    macs = cells * 96 * spaces * width  # projections
    for count, channels in ((1, spaces * 2 * width), (spaces, 2 * width)):  # cross-space, intra-space
        macs += count * channels * (convolved * 9 + cells * channels // 8)
    macs += 2 * spaces * cells * width * out  # head of each cell, and feature adapters, whose width is another
    assert parts["interaction"].gmacs * 1e9 == pytest.approx(macs)
    assert parts["student"].parameters == sum(value.numel() for value in model.student.parameters())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert all("GMACs" in str(column.header) for column in cost_table(list(parts.values())).columns[-1:])


def test_a_picture_of_several_views_costs_each_its_share(
    recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]
) -> None:
    """Also if the images do not fill the picture, as the batches of a training do."""
    changes = ["teachers.lite2.mosaic=2", "teachers.lite2.size=64"]
    model = distiller(recipe(*changes))
    costs = [
        {part.name: part.gmacs for part in measure_cost(model, model.teachers, torch.rand(count, 3, 64, 64))}
        for count in (2, 4)
    ]
    assert costs[0] == pytest.approx(costs[1])


def test_a_backward_counts_twice_and_teachers_have_none() -> None:
    parts = [
        CostPart("student", "", 0, 0, 1.0),
        CostPart("teacher a", "", 0, 0, 5.0),
        CostPart("interaction", "", 0, 0, 0.5),
    ]
    assert step_seconds(parts, 10) == pytest.approx(10 * (3 + 5 + 1.5))


@pytest.mark.parametrize(
    ("seconds", "text"), [(12, "12 s"), (125, "2 min"), (3 * 3600 + 1260, "3 h 21 min"), (200_000, "2 d 7 h")]
)
def test_durations_are_told_in_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
