"""The bootstrap interval against the binomial distribution, and against the metric that it resamples."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.tasks.accuracy import fine_grained
from benchmarks.tasks.bootstrap import _accuracy, bootstrap_interval
from umt.data.contract import METRICS


def test_interval_of_top1_is_binomial() -> None:
    """1.96 standard errors either side for 2000 images of which 70% are right."""
    labels = np.zeros(2000, dtype=int)
    predictions = (np.arange(2000) % 10 >= 7).astype(int)
    found = bootstrap_interval("top1", predictions, labels, seed=0)
    width = 196 * np.sqrt(0.7 * 0.3 / 2000)
    assert (found["low"], found["high"]) == pytest.approx((70 - width, 70 + width), abs=0.2)


@pytest.mark.parametrize("reported", METRICS)
def test_what_is_resampled_is_the_metric(reported: str) -> None:
    rng = np.random.default_rng(0)
    labels, predictions = rng.choice([0, 1, 4], 50), rng.choice([0, 1, 4], 50)
    expected = fine_grained(reported, predictions, labels)["accuracy"]
    assert _accuracy(reported, predictions == labels, labels) == pytest.approx(expected)


def test_seed_decides() -> None:
    labels, predictions = np.arange(40) % 4, np.arange(40) % 3
    assert bootstrap_interval("top1", predictions, labels, 1) == bootstrap_interval("top1", predictions, labels, 1)
    assert bootstrap_interval("top1", predictions, labels, 1) != bootstrap_interval("top1", predictions, labels, 2)
