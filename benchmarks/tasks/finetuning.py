"""Fine-tuning of backbone and linear head, the same for every classification data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from timm.data import Mixup

from benchmarks.tasks.contract import Job
from benchmarks.tasks.splits import report_samples, training_samples
from umt.backbones.contract import round_up
from umt.data.images import ImageSamples
from umt.data.registry import Sample
from umt.data.transforms import train_transform
from umt.errors import UMTError
from umt.features import eval_images, run_over
from umt.training.classifier import Classifier
from umt.training.drop_path import set_drop_path
from umt.training.engine import Place, Recipe, fit
from umt.training.param_groups import layer_decay_groups
from umt.training.precision import pick_precision


@dataclass(frozen=True)
class FinetuneSettings(Recipe):
    """Everything that changes the number: the recipe of the engine, and what is done to images and backbone."""

    layer_decay: float  # lr of a layer over that of the next; 1 for none
    drop_path: float  # rate at the last block, rising linearly from 0
    resolution: int  # pixels, of training and test; grows to what the backbone takes
    crop_pct: float  # share of the test image's shorter side that the centre crop keeps
    scale: tuple[float, float]  # share of the image's area that a training crop covers
    hflip: float  # chance of a mirror image
    auto_augment: str | None  # in timm's notation
    reprob: float  # chance of erasing a box
    mixup: float  # alpha of the Beta distribution, 0 for none
    cutmix: float
    smoothing: float  # of the labels
    train_per_class: int | None  # only the first images of each class, null for all


@dataclass(frozen=True)
class Finetuned:
    """Scores [N, C] and labels [N] of the reported split, and what the settings became."""

    scores: np.ndarray
    labels: np.ndarray
    details: dict[str, Any]

    @property
    def predictions(self) -> np.ndarray:
        return self.scores.argmax(axis=1)


def finetune(job: Job) -> Finetuned:
    """Train the job's backbone with a linear head on the data set, and score the reported split once, at the end."""
    settings: FinetuneSettings = job.settings
    samples = first_of_each_class(training_samples(job.dataset), settings.train_per_class)
    preprocess = job.backbone.preprocess
    resolution = round_up(settings.resolution, preprocess.size_multiple)
    test = eval_images(report_samples(job.dataset), preprocess, resolution, settings.crop_pct)
    model, blocks = build_classifier(job, settings)
    groups = layer_decay_groups(
        job.backbone,
        model.head,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        layer_decay=settings.layer_decay,
    )
    place = Place(job.device, job.work_dir, job.seed, job.progress)
    fit(model, groups, _augmented(samples, job, resolution), settings, place)
    scores = run_over(test, model.logits, job.device, settings.device_batch, job.progress)
    details = {
        "resolution": resolution,
        "precision": pick_precision(settings.precision, job.device),
        "steps": settings.steps(len(samples)),
        "training_images": len(samples),
        "drop_path_blocks": blocks,
    }
    return Finetuned(scores.numpy(), test.labels, details)


def build_classifier(job: Job, settings: FinetuneSettings) -> tuple[Classifier, int]:
    """The model to train, its head drawn by the job's seed, and the number of blocks that stochastic depth acts on."""
    torch.manual_seed(job.seed)
    classes = len(job.dataset.class_names)
    model = Classifier(job.backbone, classes, mixing=_mixing(settings, classes), smoothing=settings.smoothing)
    return model, set_drop_path(job.backbone, settings.drop_path) if settings.drop_path else 0


def first_of_each_class(samples: Sequence[Sample], count: int | None) -> list[Sample]:
    """At most `count` samples of each class, in their order; None for all."""
    seen: dict[Any, int] = {}
    kept = []
    for sample in samples:
        seen[sample.target] = seen.get(sample.target, 0) + 1
        if count is None or seen[sample.target] <= count:
            kept.append(sample)
    return kept


def _augmented(samples: Sequence[Sample], job: Job, resolution: int) -> ImageSamples:
    settings: FinetuneSettings = job.settings
    transform = train_transform(
        resolution,
        job.backbone.preprocess.interpolation,
        auto_augment=settings.auto_augment,
        reprob=settings.reprob,
        scale=settings.scale,
        hflip=settings.hflip,
    )
    return ImageSamples(samples, transform)


def _mixing(settings: FinetuneSettings, classes: int) -> Mixup | None:
    if not settings.mixup and not settings.cutmix:
        return None
    if settings.device_batch % 2:
        raise UMTError(f"device_batch {settings.device_batch} is odd; mixup and cutmix pair images, take an even one")
    return Mixup(settings.mixup, settings.cutmix, label_smoothing=0.0, num_classes=classes)
