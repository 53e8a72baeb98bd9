"""Whatever a checkpoint says of its distillation: reports have a student or none, and are written."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.suite.suite import Column
from reports.figures.curves import training_curves
from reports.figures.figure import finished
from reports.results.measurement import Measurement
from reports.results.students import student_from, students_of
from reports.tables.compare import comparison
from reports.tables.student_table import build_student_table
from reports.tables.student_tables import STUDENT_TABLES

QUICK = settings(
    max_examples=150,
    deadline=10_000,  # milliseconds: none of them may take all day
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.one_of(st.integers(-3, 3), st.floats(), st.sampled_from([10**400, True]))
TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["\x1b[2J\n", "\ud800", "umt", "token", "$x_{", "mae"]))
VALUES = st.recursive(
    st.one_of(st.none(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
CURVE = {"step": [1.0, 2.0], "loss": [2.0, 1.0], "cls feature": [1.0, 0.5], "cls token": [1.0, 0.5]}


def places(said: Any) -> Iterator[tuple[Any, Any]]:
    """Each value at any depth, by what holds it and its key."""
    for key in list(said if isinstance(said, dict) else range(len(said))):
        yield said, key
        if isinstance(said[key], (dict, list)):
            yield from places(said[key])


def changed(said: dict[str, Any], number: int, value: Any) -> dict[str, Any]:
    """Return the record with the value at one path exchanged."""
    said = copy.deepcopy({**said, "curve": CURVE, "space": "dino", "code": {"commit": "abc", "dirty": False}})
    there = list(places(said))
    inner, key = there[number % len(there)]
    inner[key] = value
    return said


def nested(depth: int) -> list[Any]:
    values: list[Any] = []
    for _ in range(depth):
        values = [values]
    return values


def write(measurement: Measurement, column: Column) -> None:
    """The tables that a report makes of students."""
    for declaration in STUDENT_TABLES:
        build_student_table(declaration, [column], students_of([measurement]), "")
    comparison([column], [measurement])


@QUICK
@given(st.integers(0, 999), VALUES)
def test_tables_are_written(  # type: ignore[no-untyped-def]
    measurement: Callable[..., Measurement], cub: Column, provenance, number: int, value: Any
) -> None:
    write(measurement(cub, 70.0, provenance=changed(provenance(), number, value)), cub)


@settings(QUICK, max_examples=3)
@given(st.lists(st.one_of(NUMBERS, st.floats(1, 2)), min_size=2, max_size=2), TEXTS, TEXTS)
@example([math.nan, math.inf], "cls token", "")
@example([10**400, 1], "cls token", "")
@example([-1, 0], "\ud800", "\ud800")
@example([1e308, -1e308], "step", "$x_{")
def test_curves_are_drawn(  # type: ignore[no-untyped-def]
    measurement: Callable[..., Measurement], cub: Column, provenance, values: list[float], loss: str, name: str
) -> None:
    """Whatever numbers and words they have."""
    said = {**provenance(name=name), "curve": {**CURVE, loss: values}}
    sketch = training_curves(students_of([measurement(cub, 70.0, provenance=said)]))
    if sketch is not None:
        finished(sketch, Path("nothing", "kept"))


@QUICK
@given(VALUES)
def test_what_is_no_provenance_is_no_student(value: Any) -> None:
    assert student_from(value, "resnet50") is None


@pytest.mark.parametrize("depth", [100, 900, 5000])  # JSON is read to about 900
def test_depth_is_no_student_either(
    measurement: Callable[..., Measurement], cub: Column, provenance, depth: int
) -> None:  # type: ignore[no-untyped-def]
    assert student_from({**provenance(), "recipe": nested(depth)}, "resnet50") is None
    write(measurement(cub, 70.0, provenance={**provenance(), "more": nested(depth)}), cub)


def test_the_base_is_sound(measurement: Callable[..., Measurement], cub: Column, provenance) -> None:  # type: ignore[no-untyped-def]
    (seen,) = students_of([measurement(cub, 70.0, provenance=changed(provenance(), 0, provenance()["recipe"]))])
    assert (seen.space, seen.student.curve) == ("dino", CURVE)
