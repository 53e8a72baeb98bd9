"""DINOv2's linear evaluation: heads for many learning rates and choices of features, trained at once by SGD."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.bootstrap import bootstrap_interval
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.splits import hold_out
from benchmarks.tasks.workload import Workload
from umt.data.contract import Sample
from umt.errors import unknown_name
from umt.probes.heads import Heads, cosine

SELECTIONS = ("held_out", "reported")
ROWS = 4096  # images at a time in prediction
REFERENCE_BATCH = 256  # the learning rates are declared for this batch


@dataclass(frozen=True)
class HeadsSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    blocks: tuple[int, ...]  # numbers of last maps whose summary tokens are used, a choice of features for each number
    average: tuple[bool, ...]  # without and with the mean of the last map appended, its final norm applied
    learning_rates: tuple[float, ...]  # for a batch of 256
    batch: int
    steps: int
    selection: str  # images to choose the head on: "held_out" training images, or the "reported" ones
    validation_share: float  # share of each class of the training images; nothing is held out for "reported"

    def __post_init__(self) -> None:
        if self.selection not in SELECTIONS:
            raise unknown_name("selection", self.selection, SELECTIONS)


@dataclass(frozen=True)
class Choice:
    """Features of a group of heads: their parts are concatenated."""

    name: str
    parts: tuple[str, ...]  # names as in Extraction.what


@dataclass(frozen=True)
class Images:
    """Parts of the frozen features of images, each [N, D] and perhaps on disk, and labels [N]."""

    parts: dict[str, np.ndarray]
    labels: np.ndarray

    def rows(self, choice: Choice, where: np.ndarray, device: torch.device) -> Tensor:
        """Return the features [len(where), D] of a choice."""
        chosen = [torch.from_numpy(self.parts[part][where]) for part in choice.parts]
        return torch.cat(chosen, dim=1).to(device)


def run(job: Job[HeadsSettings]) -> Outcome:
    """Train all heads, choose one, score it on the test split; it is not trained again with the held-out images."""
    settings = job.settings
    choices = _choices(settings, job.backbone.depth)
    train = _images(job, job.dataset.training_samples, choices)
    test = _images(job, job.dataset.reported_samples, choices)
    held = _held_out(job, train.labels)
    banks = _train(job, train, np.flatnonzero(~held), choices)
    reported = _predictions(job, banks, choices, test, np.arange(len(test.labels)))
    if settings.selection == "reported":
        accuracies = _accuracies(job, reported, test.labels)
    else:
        chosen_on = np.flatnonzero(held)
        accuracies = _accuracies(job, _predictions(job, banks, choices, train, chosen_on), train.labels[chosen_on])
    name = max(accuracies, key=lambda head: accuracies[head])  # the first of equals
    predictions = reported[name]
    return Outcome(
        metrics=fine_grained(job.dataset.info.metric, predictions, test.labels),
        global_batch=settings.batch,
        details={
            "head": name,
            "selection_accuracy": accuracies,
            "interval": bootstrap_interval(job.dataset.info.metric, predictions, test.labels, job.seed),
            "training_images": int((~held).sum()),
            "validation_images": int(held.sum()),
        },
        raw={"predictions": predictions, "labels": test.labels},
    )


def _choices(settings: HeadsSettings, depth: int) -> list[Choice]:
    """Return summary tokens of the last maps, as many as there are, without and with the mean of the last map.

    A backbone without maps has the pooled feature alone.
    """
    found = {}
    for count in settings.blocks:
        tokens = tuple(f"summary:-{index}" for index in range(min(count, depth), 0, -1))
        for average in settings.average:
            name = f"last {len(tokens)}{' + average' if average else ''}" if tokens else "pooled"
            found[name] = Choice(name, (*tokens, *(("mean:-1",) if average else ())) if tokens else ("pooled",))
    return list(found.values())


def _images(job: Job[HeadsSettings], samples: Sequence[Sample], choices: Sequence[Choice]) -> Images:
    settings = job.settings
    view = (settings.resolution, settings.crop_pct)
    names = sorted({part for choice in choices for part in choice.parts})
    parts = {name: frozen_features(job, samples, *view, what=name)[0] for name in names}
    return Images(parts, np.array([sample.target for sample in samples], dtype=np.int64))


def _held_out(job: Job[HeadsSettings], labels: np.ndarray) -> np.ndarray:
    """Return the mask of the training images that a head is chosen on, empty if it is chosen on the reported ones."""
    if job.settings.selection == "reported":
        return np.zeros(len(labels), dtype=bool)
    return hold_out(labels, job.settings.validation_share, job.dataset.class_names, job.seed)


def _train(job: Job[HeadsSettings], train: Images, where: np.ndarray, choices: Sequence[Choice]) -> list[Heads]:
    """Train a bank of heads for each choice, on batches drawn without replacement from one epoch after another."""
    settings = job.settings
    generator = torch.Generator(job.device).manual_seed(job.seed)
    rng = np.random.default_rng(job.seed)
    batch = min(settings.batch, len(where))
    rates = [rate * batch / REFERENCE_BATCH for rate in settings.learning_rates]
    widths = [sum(train.parts[part].shape[1] for part in choice.parts) for choice in choices]
    banks = [Heads(width, len(job.dataset.class_names), rates, generator) for width in widths]
    order = np.empty(0, dtype=np.int64)
    for step in range(settings.steps):
        if len(order) < batch:
            order = rng.permutation(where)
        images, order = order[:batch], order[batch:]
        targets = torch.from_numpy(train.labels[images]).to(job.device)
        for bank, choice in zip(banks, choices, strict=True):
            bank.step(train.rows(choice, images, job.device), targets, cosine(step, settings.steps))
        job.progress(step + 1, settings.steps, f"{len(banks) * len(rates)} heads, step {step + 1}/{settings.steps}")
    return banks


def _accuracies(job: Job[HeadsSettings], predictions: Mapping[str, np.ndarray], labels: np.ndarray) -> dict[str, float]:
    """Compute the accuracy in percent of each head."""
    metric = job.dataset.info.metric
    return {head: fine_grained(metric, predicted, labels)["accuracy"] for head, predicted in predictions.items()}


def _predictions(
    job: Job[HeadsSettings], banks: Sequence[Heads], choices: Sequence[Choice], images: Images, where: np.ndarray
) -> dict[str, np.ndarray]:
    """Predict the class [N] by each head; a head is named by its features and its learning rate."""
    found = {}
    for bank, choice in zip(banks, choices, strict=True):
        blocks = np.array_split(where, math.ceil(len(where) / ROWS))
        predicted = torch.cat([bank.predict(images.rows(choice, block, job.device)) for block in blocks])
        for rate, classes in zip(job.settings.learning_rates, predicted.T.cpu().numpy(), strict=True):
            found[f"{choice.name}, lr {rate:g}"] = classes
    return found


def workload(settings: HeadsSettings, sizes: Mapping[str, int]) -> Workload:
    """Count a pass for each part of the features, and forward and backward of every head."""
    parts = [part for choice in _choices(settings, max(settings.blocks)) for part in choice.parts]

    def solve(width: int, classes: int) -> float:
        weights = width * len(parts) * classes * len(settings.learning_rates)
        return 2.0 * settings.steps * settings.batch * weights

    return frozen_work(sizes, settings.resolution, settings.crop_pct, what=sorted({*parts}), solve=solve)


TASK = Task(
    name="dinov2_linear",
    about="linear heads on frozen features for many learning rates and choices of features, trained by SGD",
    settings=HeadsSettings,
    metrics=FINE_GRAINED,
    run=run,
    workload=workload,
)
