"""Bold: the best of a group, in the direction of the metric."""

from __future__ import annotations

from functools import partial

import pytest

from reports.building.metrics import get_metric
from reports.building.rows import mark_best
from reports.building.table import Cell, Row, TableColumn


def _best(values: list[float | None], metric: str) -> list[bool]:
    rows = [Row((str(index),), (Cell("x", value),)) for index, value in enumerate(values)]
    return [row.cells[0].best for row in mark_best(rows, [TableColumn("c", get_metric(metric))])]


@pytest.mark.parametrize(
    ("values", "metric", "best"),
    [
        ([80.0, 82.0, 81.0], "accuracy", [False, True, False]),
        ([0.30, 0.25, 0.31], "rmse", [False, True, False]),
        ([None, 81.0, 80.0], "accuracy", [False, True, False]),
        ([None, 0.3, 0.2], "rmse", [False, False, True]),
        ([81.04, 81.0, 80.0], "accuracy", [True, True, False]),  # equal as printed
        ([81.0, None], "accuracy", [False, False]),  # best of nothing
        ([None, None], "accuracy", [False, False]),
    ],
)
def test_best(values, metric, best):
    assert _best(values, metric) == best


def _with_intervals(ends: list[tuple[float, float, float]], metric: str) -> list[bool]:
    """Which of cells with a value and the ends of its interval are marked."""
    cells = [Cell("x", value, estimate=partial(lambda *ends: ends, low, high)) for low, value, high in ends]
    rows = [Row((str(index),), (cell,)) for index, cell in enumerate(cells)]
    return [row.cells[0].best for row in mark_best(rows, [TableColumn("c", get_metric(metric))])]


def test_what_the_intervals_do_not_tell_from_the_best_is_bold_too():
    """4 apart with sides of 3 and 2: the root of 13 is less; 3 apart is not told."""
    assert _with_intervals([(77, 80, 88), (75, 76, 78), (75, 77, 79)], "accuracy") == [True, False, True]


def test_the_sides_that_face_each_other_count():
    """Less is better: the upper end of the best, and the lower ends of the others."""
    assert _with_intervals([(0.0, 0.5, 0.6), (0.4, 0.7, 0.71), (0.65, 0.7, 9.0)], "rmse") == [True, True, False]


def test_where_nothing_is_told_apart_nothing_is_bold():
    assert _with_intervals([(70, 80, 90), (70, 79, 90), (70, 78, 90)], "accuracy") == [False, False, False]
    assert _with_intervals([(70, 80, 90), (70, 80, 90)], "accuracy") == [True, True], "equal as printed"


def test_a_published_number_has_no_interval_of_its_own():
    rows = [
        Row(("ours",), (Cell("x", 81.0, estimate=lambda: (80.0, 82.0)),)),
        Row(("theirs",), (Cell("x", 80.5),)),
        Row(("others",), (Cell("x", 79.5),)),
    ]
    marked = mark_best(rows, [TableColumn("c", get_metric("accuracy"))])
    assert [row.cells[0].best for row in marked] == [True, True, False]
