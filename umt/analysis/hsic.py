"""HSIC of two linear kernels, biased and unbiased, from Gram matrices or from sums over rows alone."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Hsic:
    """Both estimates, each up to a factor that depends on the number of rows only and leaves CKA as it is."""

    biased: float
    unbiased: float


@dataclass(frozen=True)
class Sums:
    """Sums over the rows x, y of two feature sets [n, d] and [n, e]; all float64, moved by any constant."""

    rows: int
    products: Tensor  # sum of x y' [d, e]
    x: Tensor  # sum of x [d]
    y: Tensor  # sum of y [e]
    xx: float  # sum of |x|^2
    yy: float  # sum of |y|^2
    xx_yy: float  # sum of |x|^2 |y|^2
    yy_x: Tensor  # sum of |y|^2 x [d]
    xx_y: Tensor  # sum of |x|^2 y [e]


def from_sums(sums: Sums) -> Hsic:
    """Compute HSIC by Kornblith et al. 2019, eq. 3, and HSIC_1 by Song et al. 2012, eq. 5, for kernels x x' and y y'.

    The diagonal of a Gram matrix holds |x|^2, so that matrices without it need no more than these sums:
    tr(KL) = |X'Y|^2 - sum |x|^2 |y|^2, and the row sums of K are x'(sum of x) - |x|^2.
    """
    n, flat = sums.rows, sums.products.flatten()
    square, crossed = flat @ flat, sums.x @ sums.products @ sums.y
    biased = square - 2 / n * crossed + (sums.x @ sums.x) * (sums.y @ sums.y) / n**2
    trace = square - sums.xx_yy
    totals = (sums.x @ sums.x - sums.xx) * (sums.y @ sums.y - sums.yy)
    row_sums = crossed - sums.x @ sums.yy_x - sums.y @ sums.xx_y + sums.xx_yy
    return Hsic(float(biased), _unbiased(n, trace, totals, row_sums))


def from_grams(left: Tensor, right: Tensor) -> Hsic:
    """Compute the same from the Gram matrices [n, n]: less work if there are fewer rows than dimensions."""
    n = len(left)
    biased = float((_centred(left) * _centred(right)).sum())
    left, right = (gram - gram.diagonal().diag() for gram in (left, right))
    return Hsic(
        biased,
        _unbiased(n, (left * right).sum(), left.sum() * right.sum(), left.sum(dim=0) @ right.sum(dim=0)),
    )


def _unbiased(n: int, trace: Tensor, totals: Tensor, row_sums: Tensor) -> float:
    """Return n (n - 3) HSIC_1."""
    return float(trace + totals / ((n - 1) * (n - 2)) - 2 / (n - 2) * row_sums)


def _centred(gram: Tensor) -> Tensor:
    return gram - gram.mean(dim=0, keepdim=True) - gram.mean(dim=1, keepdim=True) + gram.mean()
