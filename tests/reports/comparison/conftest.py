"""Paired columns and stores of right and wrong answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.results import ResultStore
from reports.building.metrics import get_metric
from reports.comparison.pairing import PairedColumn
from reports.comparison.values import Scores

Column = Callable[..., PairedColumn]
Answers = Callable[..., None]


@pytest.fixture
def column(result: Callable[..., Any], cub: Any) -> Column:
    """A column of values by backbone and seed."""

    def make(scores: Mapping[str, Sequence[Scores]], metric: str = "top1", heading: str = "CUB") -> PairedColumn:
        values = np.array([[one.effects().sum() for one in seeds] for seeds in scores.values()]).T
        if metric == "miou":
            ones = np.ones((len(next(iter(scores.values()))[0].effects()), 1))
            values = np.array([[one.over(ones)[0] for one in seeds] for seeds in scores.values()]).T
        items = len(next(iter(scores.values()))[0].effects())
        seeds = tuple(range(len(values)))
        different = {name: tuple(of_seeds) for name, of_seeds in scores.items()}
        example = result(cub, 1.0)
        return PairedColumn(
            heading, get_metric(metric), example, Path("x.json"), np.arange(items).astype(str), seeds, different, values
        )

    return make


@pytest.fixture
def answers(store: ResultStore, result: Callable[..., Any], cub: Any) -> Answers:
    """Write the result of right and wrong answers about ten classes."""

    def write(backbone: str, right: np.ndarray, column: Any = cub, **changes: Any) -> None:
        labels = changes.pop("labels", np.arange(len(right)) % 10)
        names = changes.pop("names", np.array([f"images/{index}.jpg" for index in range(len(right))]))
        raw = {"image": names, "labels": labels, "predictions": np.where(right, labels, (labels + 1) % 10)}
        value = changes.pop("value", 100 * float(np.mean(right)))
        found = result(column, value, backbone=backbone, weights_hash=f"{ord(backbone[0]):064x}", **changes)
        store.write(found, raw)

    return write
