"""The values of annotated pixels: which of them are classes, and which are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

UNLABELLED = 255  # the class index of pixels that have no class
VALUES = 256  # of an 8-bit annotation
UNKNOWN = -1


@dataclass(frozen=True)
class Labels:
    """The values of the pixels of an annotation: of each class in order of its index, and of pixels without a class."""

    classes: tuple[int, ...]
    unlabelled: tuple[int, ...]

    @classmethod
    def after_zero(cls, classes: int) -> Labels:
        """Return the convention of ADE20K: 0 is no class, and each value is a class index + 1."""
        return cls(tuple(range(1, classes + 1)), (0,))

    def indices(self, values: np.ndarray) -> np.ndarray:
        """Return class indices uint8 of values that `unknown` accepts; pixels without a class become 255."""
        indices: np.ndarray = self._table.take(values.astype(np.intp)).astype(np.uint8)
        return indices

    def unknown(self, values: np.ndarray) -> int | None:
        """Return the largest value that is neither a class nor unlabelled, None if there is none."""
        known = self._table.take(values.astype(np.intp), mode="clip") != UNKNOWN
        inside = (values >= 0) & (values < VALUES)
        strange = values[~(known & inside)]
        return int(strange.max()) if strange.size else None

    @property
    def expected(self) -> str:
        """The values in words: '0..150', '0..20, 255'."""
        return ", ".join(_ranges(sorted({*self.classes, *self.unlabelled})))

    @cached_property
    def _table(self) -> np.ndarray:
        table = np.full(VALUES, UNKNOWN, np.int16)
        table[list(self.unlabelled)] = UNLABELLED
        table[list(self.classes)] = np.arange(len(self.classes))
        return table


def _ranges(values: Sequence[int]) -> list[str]:
    """Return runs of values: [0, 1, 2, 255] -> '0..2' and '255'."""
    starts = [value for value in values if value - 1 not in values]
    ends = [value for value in values if value + 1 not in values]
    return [f"{start}..{end}" if start != end else str(start) for start, end in zip(starts, ends, strict=True)]
