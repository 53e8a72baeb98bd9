"""Teachers' activations die with their forward: one teacher's at a time, and only targets are left."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe
from umt.distill.teachers.teacher import Teacher, all_targets


@pytest.fixture
def teachers(recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]) -> tuple[Teacher, ...]:
    """A ViT whose class token is its target and whose map is pooled, and a CNN."""
    return distiller(
        recipe("teachers.lite2.objective=classification", "teachers.lite0.objective=mae", "teachers.lite2.size=64")
    ).teachers


def test_activations_die_with_their_forward(teachers: tuple[Teacher, ...]) -> None:
    activations: list[weakref.ref[Tensor]] = []
    alive_at_start: list[int] = []

    def note(module: Any, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            activations.append(weakref.ref(output))

    for teacher in teachers:
        teacher.backbone.register_forward_pre_hook(
            lambda *_: alive_at_start.append(len({id(seen()) for seen in activations} - {id(None)}))
        )
        for module in teacher.backbone.modules():
            module.register_forward_hook(note)
    targets = all_targets(teachers, torch.rand(2, 3, 64, 64))
    held = {value.data_ptr() for asked in targets.values() for value in (asked.summary, asked.features)}
    left = [value for value in (seen() for seen in activations) if value is not None]
    assert len(activations) > 50
    assert all(value.data_ptr() in held for value in left), "more than what the targets are views of"
    assert len(alive_at_start) == 2
    assert max(alive_at_start) <= 2, "activations of one teacher were alive when the next one started"


def test_targets_hold_no_memory_but_their_own(teachers: tuple[Teacher, ...]) -> None:
    """A class token as a view would keep all tokens of its teacher alive."""
    for asked in all_targets(teachers, torch.rand(2, 3, 64, 64)).values():
        for value in (asked.summary, asked.features):
            assert value.untyped_storage().nbytes() == value.nbytes
