"""A head on several sets of images, among the classes that occur, and by several right labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks.scores import scores_of
from benchmarks.tasks import robustness
from benchmarks.tasks.contract import Job
from benchmarks.tasks.frozen import frozen_parts
from benchmarks.tasks.robustness import TASK
from umt.data.contract import Dataset, Sample
from umt.errors import UMTError

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
SMALL = {"resolution": 32, "steps": 60, "batch": 12}


def with_test(dataset: Dataset, change: Callable[[list[Sample]], list[Sample]], **fields: object) -> Dataset:
    """Another reported split, as a variant of the data set has it."""
    read, report = dataset.info.read, dataset.info.roles.report

    def changed(root: Path, split: str) -> list[Sample]:
        return change(read(root, split)) if split == report else read(root, split)

    return Dataset(replace(dataset.info, read=changed, **fields), dataset.root)


def test_a_head_is_trained_once_for_all_variants(
    make_job: MakeJob, make_dataset: MakeDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Mock(wraps=robustness.chosen_head)
    monkeypatch.setattr(robustness, "chosen_head", train)
    whole = make_dataset("imagenet")
    job = replace(make_job(TASK.name, whole, "mini", **SMALL), cache=tmp_path / "cache")
    first, second = (
        TASK.run(replace(job, dataset=dataset)) for dataset in (whole, with_test(whole, lambda samples: samples[:6]))
    )
    assert train.call_count == 1
    np.testing.assert_array_equal(first.raw["top1"][:6], second.raw["top1"])
    TASK.run(replace(job, seed=1))
    TASK.run(replace(job, settings=replace(job.settings, steps=61)))
    assert train.call_count == 3, "another seed, and other settings"


def test_only_classes_that_occur_are_scored(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    whole = make_dataset("imagenet")
    few = with_test(whole, lambda samples: [sample for sample in samples if sample.target != 1])
    job = make_job(TASK.name, few, "mini", **SMALL)
    outcome = TASK.run(job)
    head = robustness.chosen_head(job)
    parts, labels = frozen_parts(job, few.reported_samples, 32, 1.0, what=head.parts)
    scores = head.scores(parts).astype(np.float64)
    scores[:, 1] = -np.inf
    assert outcome.details["scored_classes"] == 2
    assert outcome.metrics["top1"] == pytest.approx(100 * np.mean(scores.argmax(axis=1) == labels))


def test_images_without_a_right_label_are_left_out(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """Every class is right for the first half of the images, and the others have no label."""

    def answers(samples: Sequence[Sample]) -> list[frozenset[int]]:
        return [frozenset(range(3)) if index < len(samples) // 2 else frozenset() for index in range(len(samples))]

    dataset = with_test(make_dataset("imagenet"), lambda samples: samples, answers=answers)
    outcome = TASK.run(make_job(TASK.name, dataset, "mini", **SMALL))
    assert outcome.metrics["top1"] == 100
    assert outcome.details["scored_images"] == 6
    [scores] = scores_of("top1", outcome.raw).values()
    assert scores.over(np.ones((12, 1))).item() == 100


def test_each_class_that_is_right_for_an_image_is_scored(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """Two classes of ImageNet are one object, and an image names the first of them alone."""

    def answers(samples: Sequence[Sample]) -> list[frozenset[int]]:
        return [frozenset((0, 2)) for _ in samples]

    dataset = with_test(
        make_dataset("imagenet"), lambda samples: [sample for sample in samples if sample.target == 0], answers=answers
    )
    outcome = TASK.run(make_job(TASK.name, dataset, "mini", **SMALL))
    assert outcome.details["scored_classes"] == 2
    assert outcome.metrics["top1"] == 100


def test_the_head_is_not_chosen_on_reported_images(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    with pytest.raises(UMTError, match="robustness chooses its head on 'held_out' images"):
        make_job(TASK.name, make_dataset("imagenet"), "mini", selection="reported")
