"""Bold: the best of a group, in the direction of the metric."""

from __future__ import annotations

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
