"""DINOv2's linear evaluation: its heads, and which images choose one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks import dinov2_linear
from benchmarks.tasks.contract import Job
from benchmarks.tasks.dinov2_linear import TASK, HeadsSettings, _choices, _images
from umt.data.contract import Dataset, Sample
from umt.errors import UMTError
from umt.features import eval_images

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
SMALL = {"resolution": 32, "steps": 150, "batch": 12}


def settings_of(protocol: str) -> HeadsSettings:
    return load_protocol(TASK.name, protocol, HeadsSettings).settings


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize(("dataset", "train"), [("imagenet", 12), ("aircraft", 24), ("caltech101", 12), ("cub", 12)])
def test_every_protocol_runs(
    make_job: MakeJob, make_dataset: MakeDataset, dataset: str, train: int, protocol: str
) -> None:
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, **SMALL))
    details = outcome.details
    heads = 4 * len(settings_of(protocol).learning_rates)
    assert len(details["selection_accuracy"]) == heads
    assert details["selection_accuracy"][details["head"]] == max(details["selection_accuracy"].values())
    assert outcome.metrics["accuracy"] > 50  # colours; chance is 33
    if protocol == "dinov2_on_test":
        assert details["training_images"] == train
        assert outcome.metrics["accuracy"] == max(details["selection_accuracy"].values())
    else:
        assert details["training_images"] + details["validation_images"] == train


def test_published_heads_are_52() -> None:
    """dinov2/eval/linear.py: 13 learning rates, the last block or the last 4, without and with mean patches."""
    settings = settings_of("dinov2_on_test")
    choices = _choices(settings, depth=12)
    assert len(choices) * len(settings.learning_rates) == 52
    assert [choice.parts for choice in choices] == [
        ("summary:-1",),
        ("summary:-1", "mean:-1"),
        ("summary:-4", "summary:-3", "summary:-2", "summary:-1"),
        ("summary:-4", "summary:-3", "summary:-2", "summary:-1", "mean:-1"),
    ]


def test_heads_see_dinov2s_features_of_a_vit(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """Its create_linear_input: class tokens of the last blocks, the mean of the last patch tokens, all normed."""
    dataset = make_dataset("cub")
    job = make_job(TASK.name, dataset, spec="timm:test_vit?pretrained=false", resolution=160, crop_pct=1.0)
    choices = _choices(job.settings, depth=job.backbone.depth)
    parts = _images(job, dataset.reported_samples, choices)
    images = eval_images(dataset.reported_samples, job.backbone.preprocess, 160, 1.0)
    normalised = (torch.stack([image for image, _ in images]) / 255 - job.backbone.mean) / job.backbone.std
    model: Any = job.backbone.model
    with torch.no_grad():
        blocks = model.get_intermediate_layers(normalised, n=4, norm=True, return_prefix_tokens=True)
    tokens = [prefix[:, 0] for _, prefix in blocks]
    mean = blocks[-1][0].mean(dim=1)
    expected = [tokens[-1:], [tokens[-1], mean], tokens, [*tokens, mean]]
    for choice, features in zip(choices, expected, strict=True):
        of_choice = np.concatenate([parts.parts[part] for part in choice.parts], axis=1)
        torch.testing.assert_close(torch.from_numpy(of_choice), torch.cat(features, dim=1), rtol=1e-4, atol=1e-4)
    assert (mean - tokens[-1]).abs().max() > 0.1


def test_fewer_maps_make_no_choice_twice() -> None:
    assert [choice.name for choice in _choices(settings_of("paper"), depth=1)] == ["last 1", "last 1 + average"]


def test_test_labels_choose_only_where_the_protocol_says_so(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("cub")
    plain = TASK.run(make_job(TASK.name, dataset, "paper", **SMALL))
    dataset._samples["test"] = [Sample(item.image, (int(str(item.target)) + 1) % 3) for item in dataset.samples("test")]
    wrong = TASK.run(make_job(TASK.name, dataset, "paper", **SMALL))
    assert wrong.details["selection_accuracy"] == plain.details["selection_accuracy"]
    assert (wrong.raw["predictions"] == plain.raw["predictions"]).all()
    chosen = TASK.run(make_job(TASK.name, dataset, "dinov2_on_test", **SMALL))
    assert chosen.metrics["accuracy"] > wrong.metrics["accuracy"]


def test_selection_has_a_footnote_where_it_sees_the_reported_images() -> None:
    for name in protocol_names(TASK.name):
        protocol = load_protocol(TASK.name, name, HeadsSettings)
        if protocol.settings.selection == "reported":
            assert name == "dinov2_on_test"
            assert protocol.footnote is not None
            assert "reported images" in protocol.footnote


def test_its_training_has_curves_and_outlives_a_failing_test(
    make_job: MakeJob, make_dataset: MakeDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(TASK.name, make_dataset("cub"), "paper", **SMALL)
    shown: list[str] = []
    job = replace(job, progress=lambda done, total, text: shown.append(text))
    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="out of memory"):
        patch.setattr(dinov2_linear, "_predictions", Mock(side_effect=RuntimeError("out of memory")))
        TASK.run(job)
    curve = [json.loads(line) for line in (job.work_dir / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in curve] == [*range(10, 151, 10)]
    assert curve[-1]["mean of heads"] < curve[0]["mean of heads"] < 2 * math.log(3)
    assert curve[-1]["lr"] == pytest.approx((1 + math.cos(math.pi * 149 / 150)) / 2, rel=1e-4)
    del shown[:]
    again = TASK.run(job)
    assert "going on from iteration 150" in shown
    assert not any(text.startswith("loss") for text in shown), "nothing is trained twice"
    other = TASK.run(replace(job, work_dir=job.work_dir / "anew"))
    assert again.details["selection_accuracy"] == other.details["selection_accuracy"]
    np.testing.assert_array_equal(again.raw["predictions"], other.raw["predictions"])


def test_unknown_selection_is_an_error() -> None:
    with pytest.raises(UMTError, match=r"unknown selection 'report'\. Did you mean reported"):
        replace(settings_of("paper"), selection="report")
