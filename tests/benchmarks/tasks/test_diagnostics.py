"""The task that describes features."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.tasks.contract import Job
from benchmarks.tasks.diagnostics import TASK
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.knn import ranks
from umt.data.contract import Dataset
from umt.errors import UMTError

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]


@pytest.mark.parametrize("spec", ["timm:test_vit?pretrained=false", "timm:test_resnet?pretrained=false"])
def test_every_number_is_there(make_job: MakeJob, make_dataset: MakeDataset, spec: str) -> None:
    job = make_job(TASK.name, make_dataset("cub", side=160), "mini", spec=spec, resolution=160)
    outcome = TASK.run(job)
    assert outcome.metrics.keys() == {metric.name for metric in TASK.metrics}
    features, _ = frozen_features(job, job.dataset.reported_samples, 160, 1.0)
    assert {name: outcome.metrics[name] for name in ("rankme", "effective_rank")} == ranks(features)
    assert outcome.details["images"] == 12


def test_as_many_images_as_asked_for(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub", side=160)
    assert TASK.run(make_job(TASK.name, dataset, "mini", images=7, resolution=160)).details["images"] == 7


def test_a_map_of_one_token_has_no_positions(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    with pytest.raises(
        UMTError, match=r"position_r2 of maps of 1x1 tokens and 12 images cannot be computed; take a la"
    ):
        TASK.run(make_job(TASK.name, make_dataset("cub"), "mini", resolution=32))
