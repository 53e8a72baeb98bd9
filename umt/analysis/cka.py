"""Linear CKA (Kornblith et al. 2019) between feature sets that stream past, biased and unbiased in one pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from umt.analysis.hsic import Hsic, from_grams, from_sums
from umt.analysis.moments import PairMoments
from umt.errors import NotFiniteError, SizeError, TooFewError

CHUNK_ROWS = 2048  # rows that are multiplied at once: enough for the speed of large matrices, few enough for float32
MIN_SAMPLES = 4  # samples: the unbiased estimate divides by n - 3


@dataclass(frozen=True)
class CkaTable:
    """CKA of every left set with every right one, as float64 [left, right].

    biased: between 0 and 1, and too high if dimensions are many for the samples. unbiased: 0 for independent
    features of any width, so that it can fall a little below 0.
    """

    biased: Tensor
    unbiased: Tensor
    samples: int


class LinearCka:
    """CKA of every left feature set with every right one; errors call the sets by `names`.

    Rows are kept while they are fewer than dimensions, for the Gram form; after that only their moments are.
    """

    def __init__(self, left: Sequence[str], right: Sequence[str]) -> None:
        self.names = [*left, *right]
        self.split = len(left)
        self.pairs = list(product(range(len(left)), range(len(left), len(self.names))))
        self.moments = PairMoments(self.pairs)
        self.stored_rows: list[list[Tensor]] = [[] for _ in self.names]

    def add(self, left: Sequence[Tensor], right: Sequence[Tensor]) -> None:
        """Add features [n, d] of the next n samples, in the order of the names; UMTError if the sets do not match."""
        sets = [features.detach().float() for features in (*left, *right)]
        self._check(sets)
        for blocks, rows in zip(self.stored_rows, sets, strict=True):
            blocks.append(rows)
        if self._kept_rows() >= max(CHUNK_ROWS, *(rows.shape[1] for rows in sets)):
            self._reduce()

    def result(self) -> CkaTable:
        """Return the table; UMTError for fewer than 4 samples, or for features that are the same for all of them."""
        samples = self.moments.rows + self._kept_rows()
        if samples < MIN_SAMPLES:
            raise TooFewError(f"CKA of {samples} samples: it takes at least {MIN_SAMPLES}; give more images")
        within, crossed = self._hsics(samples)
        for name, hsic in zip(self.names, within, strict=True):
            if not (hsic.biased > 0 and hsic.unbiased > 0):
                raise TooFewError(
                    f"{name}: its features are the same for all {samples} samples, CKA is undefined there"
                )
        tables = {}
        for kind in ("biased", "unbiased"):
            norms = [math.sqrt(getattr(hsic, kind)) for hsic in within]
            values = [getattr(crossed[i, j], kind) / (norms[i] * norms[j]) for i, j in self.pairs]
            tables[kind] = torch.tensor(values, dtype=torch.float64).view(self.split, -1)
        return CkaTable(tables["biased"], tables["unbiased"], samples)

    def _hsics(self, samples: int) -> tuple[list[Hsic], dict[tuple[int, int], Hsic]]:
        """Return HSIC of each set with itself, and of each pair."""
        indices = range(len(self.names))
        if self.moments.rows == 0 and samples < min(blocks[0].shape[1] for blocks in self.stored_rows):
            grams = [_gram(torch.cat(blocks)) for blocks in self.stored_rows]
            return [from_grams(gram, gram) for gram in grams], {
                (i, j): from_grams(grams[i], grams[j]) for i, j in self.pairs
            }
        self._reduce()
        return [from_sums(self.moments.sums(i, i)) for i in indices], {
            (i, j): from_sums(self.moments.sums(i, j)) for i, j in self.pairs
        }

    def _reduce(self) -> None:
        """Turn the kept rows into moments."""
        if self._kept_rows() == 0:
            return
        sets = [blocks[0] if len(blocks) == 1 else torch.cat(blocks) for blocks in self.stored_rows]
        for chunk in zip(*(rows.split(CHUNK_ROWS) for rows in sets), strict=True):
            self.moments.add(chunk)
        self.stored_rows = [[] for _ in self.names]

    def _kept_rows(self) -> int:
        return sum(len(rows) for rows in self.stored_rows[0])

    def _check(self, sets: Sequence[Tensor]) -> None:
        if len(sets) != len(self.names):
            raise SizeError(
                f"CKA of {', '.join(self.names)}: {len(sets)} feature sets, expected {len(self.names)}; give one a name"
            )
        for name, rows in zip(self.names, sets, strict=True):
            if rows.ndim != 2 or len(rows) != len(sets[0]):
                raise SizeError(
                    f"{name}: features of shape {tuple(rows.shape)} beside {tuple(sets[0].shape)} of {self.names[0]}; "
                    "CKA compares [samples, dimensions] of the same samples"
                )
            if not rows.sum().isfinite() and not rows.isfinite().all():
                first = self.moments.rows + self._kept_rows() + int((~rows.isfinite().all(dim=1)).nonzero()[0])
                raise NotFiniteError(f"{name}: its features are not finite, first of sample {first}; check its weights")


def _gram(rows: Tensor) -> Tensor:
    """Return X X' in float64, [n, n]."""
    centred = rows.double() - rows.double().mean(dim=0)
    return centred @ centred.T
