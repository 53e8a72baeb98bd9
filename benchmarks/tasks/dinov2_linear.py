"""DINOv2's linear evaluation: heads for many learning rates and choices of features, trained at once by SGD."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn
from torch.utils.data import Dataset

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.frozen import frozen_parts, frozen_work
from benchmarks.tasks.splits import hold_out
from benchmarks.tasks.workload import Workload
from umt.data.contract import Sample
from umt.errors import unknown_name
from umt.probes.heads import Heads
from umt.training.batches import Key
from umt.training.engine import Plan, RunContext, training, warmup_then

SELECTIONS = ("held_out", "reported")
ROWS = 4096  # images at a time in prediction
REFERENCE_BATCH = 256  # the learning rates are declared for this batch
MOMENTUM = 0.9

Predictions = dict[str, np.ndarray]  # of each head, classes [N]


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
class FrozenParts:
    """Parts of the frozen features of images, each [N, D] and perhaps on disk, and labels [N]."""

    parts: dict[str, np.ndarray]
    labels: np.ndarray

    def batch(self, rows: Sequence[int] | np.ndarray) -> dict[str, Any]:
        """Return what `HeadBanks` takes of these images."""
        parts = {name: torch.from_numpy(part[rows]) for name, part in self.parts.items()}
        return {"parts": parts, "labels": torch.from_numpy(self.labels[rows])}


class Rows(Dataset[int]):
    """The rows of the images to train on, by the keys of the engine (index, visit); a batch is gathered at once."""

    def __init__(self, rows: np.ndarray) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: Key) -> int:
        return int(self.rows[key[0]])


class HeadBanks(BaseModel):
    """A bank of heads for each choice of features, as mmengine trains them."""

    def __init__(self, choices: Sequence[Choice], banks: Sequence[Heads]) -> None:
        super().__init__(BaseDataPreprocessor(non_blocking=True))
        self.choices = choices
        self.banks = nn.ModuleList(banks)

    def forward(self, parts: Mapping[str, Tensor], labels: Tensor, mode: str = "tensor") -> dict[str, Tensor]:
        """Return the loss that mmengine minimises, the sum over all heads, and their mean for people to read."""
        losses = torch.cat([bank.losses(features, labels) for bank, features in self._with_features(parts)])
        return {"loss": losses.sum(), "mean of heads": losses.detach().mean()}

    def predict(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the class [N, banks * H] of images by each head."""
        return torch.cat([bank.predict(features) for bank, features in self._with_features(parts)], dim=1)

    def _with_features(self, parts: Mapping[str, Tensor]) -> Iterator[tuple[Heads, Tensor]]:
        for bank, choice in zip(self.banks, self.choices, strict=True):
            yield cast(Heads, bank), torch.cat([parts[part] for part in choice.parts], dim=1)


def run(job: Job[HeadsSettings]) -> Outcome:
    """Train all heads, choose one, score it on the test split; it is not trained again with the held-out images."""
    settings = job.settings
    choices = _choices(settings, job.backbone.depth)
    train = _images(job, job.dataset.training_samples, choices)
    test = _images(job, job.dataset.reported_samples, choices)
    held_out = _held_out(job, train.labels)
    banks = _train(job, train, np.flatnonzero(~held_out), choices)
    reported = _predictions(job, banks, test, np.arange(len(test.labels)))
    if settings.selection == "reported":
        accuracies = _accuracies(job, reported, test.labels)
    else:
        chosen_on = np.flatnonzero(held_out)
        accuracies = _accuracies(job, _predictions(job, banks, train, chosen_on), train.labels[chosen_on])
    name = max(accuracies, key=lambda head: accuracies[head])  # the first of equals
    predictions = reported[name]
    return Outcome(
        metrics=fine_grained(job.dataset.info.metric, predictions, test.labels),
        global_batch=settings.batch,
        details={
            "head": name,
            "selection_accuracy": accuracies,
            "training_images": int((~held_out).sum()),
            "validation_images": int(held_out.sum()),
        },
        raw={"predictions": predictions, "labels": test.labels},
    )


@dataclass(frozen=True)
class ChosenHead:
    """The head that is best on held-out training images: features in, logits out."""

    parts: tuple[str, ...]  # of the features, as they are concatenated
    weights: np.ndarray  # [D, C]
    bias: np.ndarray  # [C]
    details: Mapping[str, Any]

    def scores(self, parts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return logits [N, C] of the parts of the features of N images."""
        scores: np.ndarray = np.concatenate([parts[part] for part in self.parts], axis=1) @ self.weights + self.bias
        return scores


def chosen_head(job: Job[HeadsSettings]) -> ChosenHead:
    """Train all heads, and return the one that is best on held-out training images."""
    choices = _choices(job.settings, job.backbone.depth)
    train = _images(job, job.dataset.training_samples, choices)
    held_out = _held_out(job, train.labels)
    banks = _train(job, train, np.flatnonzero(~held_out), choices)
    chosen_on = np.flatnonzero(held_out)
    accuracies = _accuracies(job, _predictions(job, banks, train, chosen_on), train.labels[chosen_on])
    name = max(accuracies, key=lambda head: accuracies[head])  # the first of equals
    choice, head = divmod([*accuracies].index(name), len(job.settings.learning_rates))
    weights, bias = cast(Heads, banks.banks[choice]).linear(head)
    details = {"head": name, "selection_accuracy": accuracies[name], "training_images": int((~held_out).sum())}
    return ChosenHead(choices[choice].parts, weights.cpu().numpy(), bias.cpu().numpy(), details)


def _choices(settings: HeadsSettings, depth: int) -> list[Choice]:
    """Return summary tokens of the last maps, as many as there are, without and with the mean of the last map.

    A backbone without maps has the pooled feature alone.
    """
    choices = {}
    for count in settings.blocks:
        tokens = tuple(f"summary:-{index}" for index in range(min(count, depth), 0, -1))
        for average in settings.average:
            name = f"last {len(tokens)}{' + average' if average else ''}" if tokens else "pooled"
            choices[name] = Choice(name, (*tokens, *(("mean:-1",) if average else ())) if tokens else ("pooled",))
    return list(choices.values())


def _images(job: Job[HeadsSettings], samples: Sequence[Sample], choices: Sequence[Choice]) -> FrozenParts:
    settings = job.settings
    names = sorted({part for choice in choices for part in choice.parts})
    return FrozenParts(*frozen_parts(job, samples, settings.resolution, settings.crop_pct, what=names))


def _held_out(job: Job[HeadsSettings], labels: np.ndarray) -> np.ndarray:
    """Return the mask of the training images that a head is chosen on, empty if it is chosen on the reported ones."""
    if job.settings.selection == "reported":
        return np.zeros(len(labels), dtype=bool)
    return hold_out(labels, job.settings.validation_share, job.dataset.class_names, job.seed)


def _train(job: Job[HeadsSettings], train: FrozenParts, rows: np.ndarray, choices: Sequence[Choice]) -> HeadBanks:
    """Train a bank of heads for each choice, on these rows; an interrupted training goes on."""
    settings = job.settings
    batch = min(settings.batch, len(rows))
    generator = torch.Generator(job.device).manual_seed(job.seed)
    rates = [rate * batch / REFERENCE_BATCH for rate in settings.learning_rates]
    widths = [sum(train.parts[part].shape[1] for part in choice.parts) for choice in choices]
    banks = HeadBanks(choices, [Heads(width, len(job.dataset.class_names), rates, generator) for width in widths])
    plan = Plan(
        images=Rows(rows),
        groups=[{"params": list(banks.parameters())}],
        optimizer=partial(torch.optim.SGD, lr=1.0, momentum=MOMENTUM),  # each head has a rate of its own
        schedule=warmup_then("cosine", total=settings.steps, warmup=0),
        steps=settings.steps,
        forwards=1,
        batch=batch,
        lr=max(rates),
        precision="fp32",
        clip_norm=None,
        collate=train.batch,
    )
    with training(banks, plan, RunContext(job.device, job.work_dir, job.seed, job.progress, job.wandb)) as runner:
        runner.train()
    return banks


def _accuracies(job: Job[HeadsSettings], predictions: Predictions, labels: np.ndarray) -> dict[str, float]:
    """Compute the accuracy in percent of each head."""
    metric = job.dataset.info.metric
    return {head: fine_grained(metric, predicted, labels)["accuracy"] for head, predicted in predictions.items()}


def _predictions(job: Job[HeadsSettings], banks: HeadBanks, images: FrozenParts, rows: np.ndarray) -> Predictions:
    """Predict the class [N] by each head; a head is named by its features and its learning rate."""
    blocks = np.array_split(rows, math.ceil(len(rows) / ROWS))
    batches = (banks.data_preprocessor(images.batch(block)) for block in blocks)
    classes = torch.cat([banks.predict(batch["parts"]) for batch in batches]).T.cpu().numpy()
    heads = [f"{choice.name}, lr {rate:g}" for choice in banks.choices for rate in job.settings.learning_rates]
    return dict(zip(heads, classes, strict=True))


def workload(settings: HeadsSettings, sizes: Mapping[str, int]) -> Workload:
    """Count a pass that gives all parts of the features, and forward and backward of every head."""
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
