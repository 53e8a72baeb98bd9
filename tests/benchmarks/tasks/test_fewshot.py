"""Few-shot classification against scikit-learn's nearest centroid, and what a draw is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import normalize

from benchmarks.suite.protocols import protocol_names
from benchmarks.tasks.contract import Job
from benchmarks.tasks.fewshot import TASK, _ranks, nearest_mean
from benchmarks.tasks.items import item_scores
from umt.data.contract import Dataset

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]


def test_rule_is_the_nearest_centroid_of_centred_normalised_features() -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(60) % 5) * 3
    train, test = rng.normal(size=(60, 8)) + labels[:, None] / 9, rng.normal(size=(300, 8)) + 0.5
    centre = train.mean(axis=0)
    peer = NearestCentroid().fit(normalize(train - centre), labels)
    np.testing.assert_array_equal(nearest_mean(train, labels, test), peer.predict(normalize(test - centre)))


def test_features_without_variance_are_no_error() -> None:
    assert nearest_mean(np.ones((4, 3)), np.array([5, 5, 7, 7]), np.ones((2, 3))).tolist() == [5, 5]


def test_a_draw_orders_every_class() -> None:
    labels = np.array([0, 1, 0, 1, 1, 0, 2])
    ranks = _ranks(labels, np.random.default_rng(0))
    for label, count in ((0, 3), (1, 3), (2, 1)):
        assert sorted(ranks[labels == label]) == list(range(count))


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize("dataset", ["imagenet", "aircraft", "caltech101", "cub"])
def test_every_protocol_runs(make_job: MakeJob, make_dataset: MakeDataset, dataset: str, protocol: str) -> None:
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, resolution=32))
    by_shots = outcome.details["accuracy_by_shots"]
    assert list(by_shots) == ["1", "2", "4", "8", "16"]
    assert outcome.metrics["accuracy"] == pytest.approx(np.mean(by_shots["16"]))
    assert outcome.metrics["accuracy"] > 60  # colours; chance is 33
    scores = item_scores("accuracy", outcome.raw, "mean_per_class" if dataset == "caltech101" else "top1")
    assert scores is not None
    assert scores.effects().sum() == pytest.approx(outcome.metrics["accuracy"])
    assert outcome.details["fewest_images_of_a_class"] == (8 if dataset == "aircraft" else 4)


def test_seed_decides_the_draws() -> None:
    labels = np.arange(40) % 4
    first, same, other = (_ranks(labels, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert (first == same).all()
    assert (first != other).any()
