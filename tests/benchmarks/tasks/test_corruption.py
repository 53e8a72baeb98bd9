"""The mean corruption error, and the head that it shares with `robustness`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from benchmarks.tasks import robustness
from benchmarks.tasks.contract import Job
from benchmarks.tasks.corruption import ALEXNET, TASK, mean_corruption_error
from benchmarks.tasks.registry import get_task
from umt.data.contract import Dataset
from umt.data.mini import write_set
from umt.data.registry import find_dataset
from umt.data.sets.variants.imagenet_c import CORRUPTIONS, SEVERITIES
from umt.errors import UMTError

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
SMALL = {"resolution": 32, "steps": 40, "batch": 32}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corrupted")
    for name, count in (("imagenet", 120), ("imagenet_c", 150)):
        write_set(name, out, {name: count})
    return out


def test_alexnet_has_an_error_of_one() -> None:
    assert mean_corruption_error(ALEXNET) == pytest.approx(100)
    assert mean_corruption_error({name: error / 2 for name, error in ALEXNET.items()}) == pytest.approx(50)
    assert list(ALEXNET) == [name for group in CORRUPTIONS.values() for name in group]


def test_each_corruption_counts_alike(make_job: MakeJob, root: Path) -> None:
    """Written out from the values of the images, severity by severity."""
    dataset = find_dataset("imagenet_c", root)
    outcome = TASK.run(make_job(TASK.name, dataset, "mini", **SMALL))
    places = [sample.image.relative_to(dataset.root).parts for sample in dataset.reported_samples]
    wrong = 1 - outcome.raw["top1"] / 100
    ratios = []
    for corruption, alexnet in ALEXNET.items():
        severities = [
            np.mean([error for error, place in zip(wrong, places, strict=True) if place[:2] == (corruption, severity)])
            for severity in SEVERITIES
        ]
        ratios.append(np.mean(severities) / alexnet)
    assert outcome.metrics["mce"] == pytest.approx(100 * np.mean(ratios))
    assert len(places) == 150


def test_the_head_is_that_of_robustness(
    make_job: MakeJob, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = Mock(wraps=robustness.chosen_head)
    monkeypatch.setattr(robustness, "chosen_head", train)
    for task, name in (("robustness", "imagenet"), ("corruption", "imagenet_c")):
        job = replace(make_job(task, find_dataset(name, root), "mini", **SMALL), cache=tmp_path)
        get_task(task).run(job)
    assert train.call_count == 1


def test_other_images_have_no_corruptions(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    with pytest.raises(UMTError, match="no images of brightness, which mCE needs; take data set imagenet_c"):
        TASK.run(make_job(TASK.name, make_dataset("imagenet"), "mini", **SMALL))
