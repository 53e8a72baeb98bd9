"""Fine-tuning of backbone and linear head, the same for every classification data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from timm.data import Mixup
from torch.nn import functional as F

from benchmarks.tasks.contract import Job
from benchmarks.tasks.finetune_settings import FinetuneSettings
from benchmarks.tasks.workload import Passes, Workload, split_sizes
from umt.backbones import Backbone
from umt.data.contract import LabelledImages, Sample
from umt.data.images import ImageSamples
from umt.errors import TooFewError
from umt.features import eval_images, run_over
from umt.training.batches import SeededViews
from umt.training.classifier import Classifier
from umt.training.drop_path import set_drop_path
from umt.training.engine import RunContext, fit
from umt.training.param_groups import layer_decay_groups
from umt.training.precision import pick_precision


@dataclass(frozen=True)
class Finetuned:
    """The trained model, scores [N, C] and labels [N] of the reported split, and the settings in use."""

    model: Classifier
    scores: np.ndarray
    labels: np.ndarray
    details: dict[str, Any]

    @property
    def predictions(self) -> np.ndarray:
        return self.scores.argmax(axis=1)

    @property
    def raw(self) -> dict[str, np.ndarray]:
        """The stored values of each image: predicted class, label, and cross-entropy in nats."""
        losses = F.cross_entropy(torch.from_numpy(self.scores), torch.from_numpy(self.labels), reduction="none")
        return {"predictions": self.predictions, "labels": self.labels, "losses": losses.numpy()}


def finetune(job: Job[FinetuneSettings]) -> Finetuned:
    """Train the job's backbone with a linear head on the data set, and score the reported split once, at the end."""
    settings = job.settings
    samples = first_of_each_class(job.dataset.training_samples, settings.train_per_class)
    _check_classes(samples, job.dataset.class_names)
    preprocess = job.backbone.preprocess
    resolution = job.backbone.side(settings.resolution)
    test = eval_images(job.dataset.reported_samples, preprocess, resolution, settings.crop_pct)
    model, blocks = classifier_of(job.backbone, len(job.dataset.class_names), settings, job.seed)
    groups = layer_decay_groups(
        job.backbone,
        model.head,
        lr=settings.lr,
        weight_decay=settings.weight_decay,
        layer_decay=settings.layer_decay,
    )
    context = RunContext(job.device, job.work_dir, job.seed, job.progress, job.wandb)
    fit(model, groups, _augmented(samples, job, resolution), settings, context, extras=settings.extras())
    scores = run_over(test, model.logits, job.device, settings.device_batch, job.progress)
    details = {
        "resolution": resolution,
        "precision": pick_precision(settings.precision, job.device),
        "steps": settings.steps(len(samples)),
        "training_images": len(samples),
        "drop_path_blocks": blocks,
    }
    return Finetuned(model, scores.numpy(), test.labels, details)


def finetuning_work(settings: FinetuneSettings, sizes: Mapping[str, int]) -> Workload:
    """Count all training images, also if `train_per_class` takes fewer."""
    training, reported = split_sizes(sizes)
    size = (settings.resolution, settings.resolution)
    return Workload(
        trained=Passes(settings.steps(training) * settings.batch, size, precision=settings.precision),
        tested=Passes(reported, size),
    )


def classifier_of(backbone: Backbone, classes: int, settings: FinetuneSettings, seed: int) -> tuple[Classifier, int]:
    """Return the model to train, its head drawn by the seed, and the number of blocks with stochastic depth."""
    torch.manual_seed(seed)
    mixing = Mixup(settings.mixup, settings.cutmix, label_smoothing=0.0, num_classes=classes)
    model = Classifier(backbone, classes, mixing=mixing if settings.mixes else None, smoothing=settings.smoothing)
    return model, set_drop_path(backbone, settings.drop_path) if settings.drop_path else 0


def first_of_each_class(samples: Sequence[Sample], count: int | None) -> Sequence[Sample]:
    """Return at most `count` samples of each class, in their order; None for all."""
    if count is None:
        return samples
    counts = Counter[Any]()
    first_samples = []
    for sample in samples:
        counts[sample.target] += 1
        if counts[sample.target] <= count:
            first_samples.append(sample)
    return first_samples


def _augmented(samples: Sequence[Sample], job: Job[FinetuneSettings], resolution: int) -> SeededViews:
    transform = job.settings.transform(job.backbone.preprocess.interpolation, resolution)
    return SeededViews(ImageSamples(samples, transform), job.seed)


def _check_classes(samples: Sequence[Sample], names: Sequence[str]) -> None:
    """Check the classes; UMTError for a class that nothing can be learnt of."""
    empty = sorted(set(range(len(names))) - set(LabelledImages.of(samples).targets.tolist()))
    if empty:
        raise TooFewError(
            f"class '{names[empty[0]]}' has no training images ({len(empty)} of {len(names)} classes have none); "
            "add some, or take the class out of the data set"
        )
