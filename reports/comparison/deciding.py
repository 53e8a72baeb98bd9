"""The items and classes that decide between two backbones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.results import read_result
from reports.comparison.data import class_names
from reports.paired.pairing import PairedColumn

CLASS_VALUES = ("class_iou", "class_ap")  # fields of the details, by the names of the classes
MAX_SHOWN = 6  # items and classes for each of the two


@dataclass(frozen=True)
class DifferencePart:
    """An item or a class, and its part in a difference: above 0 if it speaks for the higher value of the first."""

    name: str
    effect: float


@dataclass(frozen=True)
class Decision:
    """The parts of a column's difference between two backbones, the largest first."""

    column: PairedColumn
    first: str
    second: str
    items: tuple[DifferencePart, ...]
    classes: tuple[DifferencePart, ...]  # the difference of the metric of the class alone

    @property
    def top_items(self) -> list[DifferencePart]:
        """The items with the largest parts, for either side."""
        return [*_largest(self.items, 1), *_largest(self.items, -1)]

    @property
    def top_classes(self) -> list[DifferencePart]:
        """The classes with the largest differences, for either side."""
        return [*_largest(self.classes, 1), *_largest(self.classes, -1)]


def decision(column: PairedColumn, first: str, second: str, *, data_root: Path | None = None) -> Decision:
    """Return every item's and class's part in the difference of two backbones, means over seeds.

    Classes have the names that the result file keeps, or those of its data set below the data root, else numbers.
    """
    effects = [np.mean([scores.effects() for scores in column.scores[name]], axis=0) for name in (first, second)]
    items = _parts(column.items.tolist(), effects[0] - effects[1])
    return Decision(column, first, second, items, _classes(column, first, second, data_root))


def _classes(column: PairedColumn, first: str, second: str, data_root: Path | None) -> tuple[DifferencePart, ...]:
    by_backbone = [[scores.by_class() for scores in column.scores[name]] for name in (first, second)]
    values = [[class_scores for class_scores in seeds if class_scores is not None] for seeds in by_backbone]
    if not all(values):
        return ()
    length = min(len(class_scores) for seeds in values for class_scores in seeds)
    means = [np.mean([class_scores[:length] for class_scores in seeds], axis=0) for seeds in values]
    return _parts(_class_names(column, length, data_root), np.nan_to_num(means[0] - means[1]))


def _class_names(column: PairedColumn, count: int, data_root: Path | None) -> Sequence[str]:
    details = read_result(column.path).details  # reports leave values of classes out of what they keep
    for values in (details.get(name) for name in CLASS_VALUES):
        if isinstance(values, dict) and len(values) >= count:
            return list(values)[:count]
    known = class_names(column.example, data_root) if data_root else ()
    return known if len(known) >= count else [f"class {index}" for index in range(count)]


def _parts(names: Sequence[str], effects: np.ndarray) -> tuple[DifferencePart, ...]:
    order = np.argsort(-np.abs(effects), kind="stable")
    return tuple(DifferencePart(str(names[index]), float(effects[index])) for index in order if effects[index])


def _largest(parts: Sequence[DifferencePart], sign: int) -> list[DifferencePart]:
    return [part for part in parts if part.effect * sign > 0][:MAX_SHOWN]
