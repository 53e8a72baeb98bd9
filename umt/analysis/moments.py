"""Sums over the rows of several feature sets, taken in chunks, so that no rows of a data set stay in memory."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umt.analysis.hsic import Sums

STRIP_ROWS = 96  # rows of X'X that are computed at once
# dimensions: float32 products of so few do not average their rounding out, and float64 ones cost little
MAX_NARROW_DIMENSIONS = 256
Pair = tuple[int, int]


class PairMoments:
    """The sums that HSIC needs for the pairs (i, j) of feature sets, and for each set with itself.

    Rows come as float32, are moved by the mean of the first chunk, which does not change HSIC, and are multiplied as
    float32 (narrow sets as float64); the sums of chunks are added up in float64.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.rows = 0
        self.pairs = pairs

    def add(self, chunk: Sequence[Tensor]) -> None:
        """Add rows [n, d_i] of every set i, of the same n samples."""
        if self.rows == 0:
            self._start(chunk)
        self.rows += len(chunk[0])
        sets = [rows - shift for rows, shift in zip(chunk, self.shifts, strict=True)]
        squares = torch.stack([torch.linalg.vecdot(rows, rows) for rows in sets])  # [sets, n]
        weights = torch.cat([torch.ones_like(squares[:1]), squares])
        for index, rows in enumerate(sets):
            self.weighted[index] += weights @ rows
            add_square(self.products[index, index], rows)
        for i, j in self.pairs:
            self.products[i, j] += product(sets[i], sets[j])
        weights = weights.double()
        self.squares += weights @ weights.T

    def sums(self, i: int, j: int) -> Sums:
        """Return the sums of a pair, or of a set with itself."""
        products = self.products[i, j]
        return Sums(
            rows=self.rows,
            products=mirrored(products) if i == j else products,
            x=self.weighted[i][0],
            y=self.weighted[j][0],
            xx=float(self.squares[0, i + 1]),
            yy=float(self.squares[0, j + 1]),
            xx_yy=float(self.squares[i + 1, j + 1]),
            yy_x=self.weighted[i][j + 1],
            xx_y=self.weighted[j][i + 1],
        )

    def _start(self, chunk: Sequence[Tensor]) -> None:
        count, zeros = len(chunk), chunk[0].new_zeros
        self.shifts = [rows.mean(dim=0) for rows in chunk]
        self.squares = zeros((count + 1, count + 1), dtype=torch.float64)  # 1, |x_1|^2, |x_2|^2 ... times each other
        self.weighted = [zeros((count + 1, rows.shape[1]), dtype=torch.float64) for rows in chunk]
        self.products = {
            (i, j): zeros((chunk[i].shape[1], chunk[j].shape[1]), dtype=torch.float64)
            for i, j in (*self.pairs, *((index, index) for index in range(count)))
        }


def product(x: Tensor, y: Tensor) -> Tensor:
    """Return X'Y, precise enough for CKA to be right to 1e-8."""
    if max(x.shape[1], y.shape[1]) <= MAX_NARROW_DIMENSIONS:
        return x.double().T @ y.double()
    return x.T @ y


def add_square(total: Tensor, rows: Tensor) -> None:
    """Add X'X to `total` [d, d], in strips from the diagonal to the right; the part below it is not computed."""
    rows = rows.double() if rows.shape[1] <= MAX_NARROW_DIMENSIONS else rows
    for start in range(0, rows.shape[1], STRIP_ROWS):
        total[start : start + STRIP_ROWS, start:] += rows[:, start : start + STRIP_ROWS].T @ rows[:, start:]


def mirrored(upper: Tensor) -> Tensor:
    """Return the whole symmetric matrix."""
    symmetric = upper.triu()
    return symmetric.add_(upper.triu(1).T)
