"""Robustness of the model that fine-tuning keeps: its own scores, read back, and what is said without it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks import corruption_finetuned, imagenet_finetune, kept_models
from benchmarks.tasks.contract import Job
from benchmarks.tasks.corruption import ALEXNET
from benchmarks.tasks.finetuning import FinetuneSettings
from benchmarks.tasks.robustness_finetuned import TASK
from umt.backbones import create_backbone
from umt.data.contract import Dataset
from umt.data.mini import write_set
from umt.data.registry import find_dataset
from umt.errors import UMTError
from umt.features import eval_images

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
SHORT = {"epochs": 1.0, "warmup_epochs": 0.4, "batch": 4, "device_batch": 4, "resolution": 32, "train_per_class": 4}


@pytest.fixture
def job(make_job: MakeJob, make_dataset: MakeDataset, tmp_path: Path) -> Job:
    return replace(make_job(TASK.name, make_dataset("imagenet"), "mini", **SHORT), cache=tmp_path / "cache")


def fresh(job: Job, **changes: object) -> Job:
    """The same job in another process, with the weights of the beginning."""
    return replace(job, backbone=create_backbone(job.backbone.spec), **changes)


@pytest.mark.parametrize("name", ["paper", "mini"])
def test_protocols_are_those_of_the_fine_tuning(name: str) -> None:
    tasks = (TASK.name, corruption_finetuned.TASK.name, "imagenet_finetune")
    first, second, third = (load_protocol(task, name, FinetuneSettings).settings for task in tasks)
    assert first == second == third


@pytest.mark.parametrize("spec", ["timm:test_resnet?pretrained=false", "timm:test_vit?pretrained=false"])
def test_the_kept_model_gives_the_scores_of_the_fine_tuning(job: Job, spec: str) -> None:
    job = replace(job, backbone=create_backbone(spec), settings=replace(job.settings, drop_path=0.1))
    trained = imagenet_finetune.TASK.run(fresh(job))
    outcome = TASK.run(fresh(job))
    assert outcome.metrics["top1"] == pytest.approx(trained.metrics["top1"], rel=1e-12)
    np.testing.assert_array_equal(outcome.raw["top1"] == 100, trained.raw["predictions"] == trained.raw["labels"])


def test_variants_read_the_model_of_imagenet(make_job: MakeJob, tmp_path: Path) -> None:
    for name in ("imagenet", "objectnet", "imagenet_v2"):
        write_set(name, tmp_path / "data", {"imagenet": 200, "objectnet": 40, "imagenet_v2": 40})
    first, *others = (
        replace(make_job(TASK.name, find_dataset(name, tmp_path / "data"), "mini", **SHORT), cache=tmp_path / "cache")
        for name in ("imagenet", "objectnet", "imagenet_v2")
    )
    imagenet_finetune.TASK.run(first)
    outcomes = [TASK.run(other) for other in others]
    assert [outcome.details["scored_classes"] for outcome in outcomes] == [9, 10]
    assert len(list((tmp_path / "cache" / kept_models.MODELS).glob("*.pth"))) == 1


def test_corruptions_are_those_of_the_same_model(make_job: MakeJob, tmp_path: Path) -> None:
    """Each of the 75 folders has one scan, and the errors are counted from the model's own predictions."""
    for name in ("imagenet", "imagenet_c"):
        write_set(name, tmp_path / "data", {"imagenet": 200, "imagenet_c": 75})
    tuned, job = (
        replace(make_job(task, find_dataset(name, tmp_path / "data"), "mini", **SHORT), cache=tmp_path / "cache")
        for task, name in (("imagenet_finetune", "imagenet"), ("corruption_finetuned", "imagenet_c"))
    )
    imagenet_finetune.TASK.run(tuned)
    outcome = corruption_finetuned.TASK.run(fresh(job))
    model = kept_models.read_model(fresh(job))
    images = eval_images(job.dataset.reported_samples, model.backbone.preprocess, 32, 1.0)
    with torch.no_grad():
        predictions = [int(model.logits(image[None] / 255).argmax()) for image, _ in images]
    right = np.array(predictions) == images.labels
    errors = 1 - right.reshape(15, 5).mean(axis=1)
    assert outcome.metrics["top1"] == pytest.approx(100 * right.mean())
    assert list(outcome.details["error_by_corruption"].values()) == pytest.approx(100 * errors)
    assert outcome.metrics["mce"] == pytest.approx(100 * np.mean(errors / np.array(list(ALEXNET.values()))))


@pytest.mark.parametrize("changes", [{"seed": 1}, {"settings": {"lr": 1e-4}}, {"cache": None}])
def test_a_model_that_nobody_kept_is_asked_for(job: Job, changes: dict[str, object]) -> None:
    imagenet_finetune.TASK.run(fresh(job))
    if "settings" in changes:
        changes = {"settings": replace(job.settings, lr=1e-4)}
    with pytest.raises(UMTError, match=r"no fine-tuned model of backbone 'timm:test_resnet.*run imagenet_finetune by"):
        TASK.run(fresh(job, **changes))


@pytest.mark.parametrize("content", [b"", b"no weights"])
def test_a_damaged_model_is_named(job: Job, content: bytes) -> None:
    imagenet_finetune.TASK.run(fresh(job))
    path = kept_models.model_path(fresh(job))
    assert path is not None
    path.write_bytes(content or path.read_bytes()[:-100])
    with pytest.raises(UMTError, match=rf"{path.name}: not the fine-tuned model .*remove it"):
        TASK.run(fresh(job))


def test_a_cache_that_takes_no_model_costs_no_training(job: Job, caplog: pytest.LogCaptureFixture) -> None:
    assert job.cache is not None
    job.cache.mkdir()
    (job.cache / kept_models.MODELS).write_text("a file in the place of the folder")
    with caplog.at_level(logging.WARNING):
        assert imagenet_finetune.TASK.run(fresh(job)).metrics
    assert "the fine-tuned model is not kept" in caplog.text
