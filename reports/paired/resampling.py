"""The paired bootstrap: every backbone is computed on the same drawn items, and then moved by the same drawn seeds.

Items are drawn with replacement. Seeds are few, and three of them drawn with replacement would show two thirds of their
variance: their error is drawn from Student's distribution, jointly for all backbones, so that the difference of two has
exactly the interval of a paired t-test over seeds. For the same reason the drawn items are spread by the small-sample
factor of Hesterberg (2015), and a mean IoU, a mean of ratios of sums, to the deviation of its jackknife, which errs to
the wide side (Efron and Stein 1981). Noise that belongs to an item and a seed together counts in both parts, so
intervals of several seeds are rather wide than narrow.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri, stdtrit

from reports.paired.pairing import PairedColumn, Seeds

CHUNK_VALUES = 4_000_000  # weights in memory at a time
LEVEL = 0.95
UNSEEN = 0.25  # items that a backbone alone would have got right, or wrong


@dataclass(frozen=True)
class Resampled:
    """The metric of each backbone as it might have been [draws, M]."""

    over_items: np.ndarray  # with other items
    values: np.ndarray  # with other items and other seeds


def resample(column: PairedColumn, draws: int, seed: int) -> Resampled:
    """Return the metric of each backbone as other items and other seeds might have given it."""
    rng = np.random.default_rng(seed)
    values = resample_items(list(column.scores.values()), len(column.items), draws, rng)
    factor = small_sample_factor(len(column.items)) * _jackknife_factor(column, values)
    spread = factor * (values - values.mean(axis=0))
    over_items = column.means + spread + _unseen_items(column, draws, rng)
    return Resampled(over_items, over_items + seed_errors(column.values, draws, rng))


def _jackknife_factor(column: PairedColumn, resampled_values: np.ndarray) -> float:
    """Return by how much the draws [B, M] are narrower than the jackknife, for the backbone where it is most."""
    values = [[scores.without_each() for scores in seeds] for seeds in column.scores.values()]
    known = [[part for part in seeds if part is not None] for seeds in values]
    items = len(column.items)
    if items < 2 or not all(known):
        return 1.0
    without = np.stack([np.mean(seeds, axis=0) for seeds in known], axis=1)
    jackknife = np.sqrt(items - 1) * without.std(axis=0)
    spread = np.sqrt(items / (items - 1)) * resampled_values.std(axis=0)
    return float(np.max(jackknife / spread, where=spread > 0, initial=1.0))


def _unseen_items(column: PairedColumn, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return errors [draws, M] of items that were not drawn, for items that are right or wrong.

    If two backbones differ on a handful of items, the bootstrap draws only these. As Agresti and Min (2005) do, half an
    item is added on which the first alone is right, and half a one for the second: a quarter for and against each.
    """
    scores = next(iter(column.scores.values()))[0]
    if scores.right is None:
        return np.zeros((draws, len(column.scores)))
    shape = (2, draws, len(column.scores))
    gained, lost = rng.poisson(UNSEEN, shape) * 100 / len(column.items)
    errors: np.ndarray = gained - lost
    return errors


def resample_items(backbones: Sequence[Seeds], items: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return the metric of each backbone [draws, M], its mean over seeds, over items drawn with replacement."""
    rows = [
        np.stack([np.mean([scores.over(weights) for scores in seeds], axis=0) for seeds in backbones], axis=1)
        for weights in item_weights(items, draws, rng)
    ]
    return np.concatenate(rows)


def item_weights(items: int, draws: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each item is drawn, [items, B] for some draws at a time."""
    size = max(1, min(draws, CHUNK_VALUES // items))
    for start in range(0, draws, size):
        count = min(size, draws - start)
        counts = rng.integers(0, items, (items, count))
        counts *= count
        counts += np.arange(count)
        times = np.bincount(counts.ravel(), minlength=items * count).reshape(items, count)
        yield times.astype(np.float32)  # half the time of float64; a sum is right to seven digits


def seed_errors(values: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return errors [draws, M] of the mean over seeds of values [S, M]: multivariate t, 0 for a single seed."""
    seeds = len(values)
    if seeds < 2:
        return np.zeros((draws, values.shape[1]))
    normal = rng.standard_normal((draws, seeds)) @ (values - values.mean(axis=0)) / math.sqrt(seeds * (seeds - 1))
    errors: np.ndarray = normal * np.sqrt((seeds - 1) / rng.chisquare(seeds - 1, (draws, 1)))
    return errors


def small_sample_factor(items: int) -> float:
    """Return by how much a percentile interval of so many items is too narrow."""
    if items < 2:
        return 1.0
    tail = 0.5 + LEVEL / 2
    return float(math.sqrt(items / (items - 1)) * stdtrit(items - 1, tail) / ndtri(tail))


def interval(draws: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of draws [B]."""
    low, high = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
