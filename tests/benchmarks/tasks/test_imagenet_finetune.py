"""ImageNet fine-tuning: the paper's protocol runs, learns, repeats itself, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from sklearn.metrics import top_k_accuracy_score

from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.tasks.contract import Job
from benchmarks.tasks.finetuning import FinetuneSettings, finetune, first_of_each_class
from benchmarks.tasks.imagenet_finetune import TASK
from umt.data.contract import Dataset
from umt.errors import UMTError

MakeDataset = Callable[..., Dataset]
MakeJob = Callable[..., Job]
SHORT = {"epochs": 1.0, "warmup_epochs": 0.4, "batch": 4, "device_batch": 2, "resolution": 32}


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
def test_every_protocol_runs(make_job: MakeJob, make_dataset: MakeDataset, protocol: str) -> None:
    outcome = TASK.run(make_job(TASK.name, make_dataset("imagenet"), protocol, **SHORT))
    assert outcome.metrics.keys() == {metric.name for metric in TASK.metrics}
    assert outcome.metrics["top5"] == 100  # there are three classes
    assert outcome.global_batch == 4
    assert outcome.details["steps"] == 3
    assert outcome.raw["labels"].tolist() == [0, 1, 2] * 4


def test_the_paper_protocol_is_the_papers() -> None:
    settings = load_protocol(TASK.name, "paper", FinetuneSettings).settings
    declared = (settings.epochs, settings.lr, settings.batch, settings.warmup_epochs, settings.layer_decay)
    assert declared == (10, 1e-4, 512, 1, 0.8)
    assert settings.resolution == 224
    assert (settings.steps(1_281_167), settings.warmup_steps(1_281_167)) == (25_023, 2502)


def test_it_learns_and_repeats_itself(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """Chance is 33%; equal seeds give equal scores, another seed others."""
    changes = {"epochs": 15, "batch": 4, "device_batch": 4, "resolution": 32, "lr": 2e-3}
    scores = [
        finetune(make_job(TASK.name, make_dataset("imagenet"), "mini", seed=seed, **changes)).scores
        for seed in (0, 0, 1)
    ]
    assert (scores[0] == scores[1]).all()
    assert (scores[0] != scores[2]).any()
    assert top_k_accuracy_score([0, 1, 2] * 4, scores[0], k=1) == 1


@pytest.mark.parametrize("spec", ["timm:test_vit?pretrained=false", "timm:test_convnext?pretrained=false"])
def test_other_families_train_with_stochastic_depth(make_job: MakeJob, make_dataset: MakeDataset, spec: str) -> None:
    outcome = TASK.run(make_job(TASK.name, make_dataset("imagenet"), spec=spec, **SHORT))
    assert outcome.details["drop_path_blocks"] > 0


def test_a_cap_keeps_the_first_images_of_each_class(make_dataset: MakeDataset) -> None:
    samples = make_dataset("imagenet").samples("train")
    assert first_of_each_class(samples, 2) == samples[:6]
    assert first_of_each_class(samples, None) == samples


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device_batch": 1}, "device_batch 1 is odd; mixup and cutmix pair images"),
        ({"precision": "half"}, "unknown precision 'half'"),
    ],
)
def test_settings_that_cannot_be_say_why(
    make_job: MakeJob, make_dataset: MakeDataset, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UMTError, match=message):
        TASK.run(make_job(TASK.name, make_dataset("imagenet"), **{**SHORT, **change}))


def test_the_average_of_the_weights_is_what_is_scored(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """With a decay next to 1 it stays at the first step, where the head has hardly left zero."""
    changes = {**SHORT, "epochs": 3, "lr": 1e-2, "mixup": 0.0, "cutmix": 0.0}
    last, average = (
        finetune(make_job(TASK.name, make_dataset("imagenet"), **changes, ema=ema)).scores for ema in (None, 0.9999)
    )
    assert abs(average).max() < abs(last).max() / 2


def test_a_class_without_training_images_is_named(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("imagenet")
    info = replace(dataset.info, class_names=lambda root: ["red", "green", "blue", "black", "white"])
    with pytest.raises(UMTError, match=r"class 'black' has no training images \(2 of 5 classes have none\)"):
        TASK.run(make_job(TASK.name, replace(dataset, info=info), **SHORT))


def test_a_loss_that_is_no_number_stops_the_job(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    job = make_job(TASK.name, make_dataset("imagenet"), **{**SHORT, "lr": 1e30, "warmup_epochs": 0.0})
    with pytest.raises(UMTError, match=r"iteration \d+: (loss|weight .*) is .*; lower lr \(now 1e\+30\) or set clip"):
        TASK.run(job)


def test_an_image_that_cannot_be_decoded_is_named(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    dataset = make_dataset("imagenet")
    broken = dataset.samples("train")[3].image
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(UMTError, match=rf"{broken.name}: image cannot be decoded"):
        TASK.run(make_job(TASK.name, dataset, **SHORT))
