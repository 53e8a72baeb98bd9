"""The attentive probe: a pool of the last map's tokens is trained on a frozen backbone, with a classifier behind it.

A probe for each learning rate is trained at once on cached tokens; the one that is best on held-out training images is
scored on the test split once. Public code takes the best epoch on the test images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import psutil
import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.dinov2_linear import FrozenParts, Rows
from benchmarks.tasks.frozen import frozen_parts, frozen_work
from benchmarks.tasks.splits import hold_out
from benchmarks.tasks.workload import Workload, split_sizes
from umt.errors import DeclarationError, SizeError, unknown_name
from umt.features import Extraction, part_of
from umt.files import free_bytes
from umt.probes.attentive import POOLS, AttentiveProbe
from umt.training.engine import Plan, RunContext, training, warmup_then

MAP = "map:-1"
BYTES = 4  # of a float32


@dataclass(frozen=True)
class AttentiveSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    pool: str  # "efficient" or "attention"
    queries: int  # queries or heads; the largest number up to it that divides the width of the map
    learning_rates: tuple[float, ...]  # of AdamW, a probe for each
    weight_decay: float
    batch: int
    epochs: int
    warmup: float  # share of the steps in which the rate grows linearly; then cosine to zero
    validation_share: float  # share of each class of the training images, if they have no split for selection

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise unknown_name("pool", self.pool, POOLS)
        if self.queries < 1 or self.batch < 2 or self.epochs < 1 or not 0 <= self.warmup < 1 or not self.learning_rates:
            raise DeclarationError(
                "attentive: take at least 1 query, a batch of 2, 1 epoch, 1 learning rate, and a warm-up below 1"
            )


class ProbeBank(BaseModel):
    """A probe for each learning rate, as mmengine trains them; none has a parameter of another."""

    def __init__(self, settings: AttentiveSettings, width: int, classes: int) -> None:
        super().__init__(BaseDataPreprocessor(non_blocking=True))
        probes = [AttentiveProbe(settings.pool, width, settings.queries, classes) for _ in settings.learning_rates]
        self.probes = nn.ModuleList(probes)

    def forward(self, parts: Mapping[str, Tensor], labels: Tensor, mode: str = "tensor") -> dict[str, Tensor]:
        """Return the loss that mmengine minimises, the sum over all probes, and their mean for people to read."""
        losses = torch.stack([F.cross_entropy(logits, labels) for logits in self._logits(parts)])
        return {"loss": losses.sum(), "mean of probes": losses.detach().mean()}

    @torch.no_grad()
    def predict(self, parts: Mapping[str, Tensor]) -> Tensor:
        """Return the class [B, probes] of images by each probe."""
        return torch.stack([logits.argmax(dim=1) for logits in self._logits(parts)], dim=1)

    def _logits(self, parts: Mapping[str, Tensor]) -> list[Tensor]:
        tokens = parts[MAP].flatten(2).transpose(1, 2)
        return [probe(tokens) for probe in self.probes]


def run(job: Job[AttentiveSettings]) -> Outcome:
    """Train all probes, choose one on held-out training images, score it on the test split."""
    _refuse_too_large(job)
    settings, dataset = job.settings, job.dataset
    view = (settings.resolution, settings.crop_pct)
    train = FrozenParts(*frozen_parts(job, dataset.training_samples, *view, what=(MAP,)))
    test = FrozenParts(*frozen_parts(job, dataset.reported_samples, *view, what=(MAP,)))
    held_out = _held_out(job, train.labels)
    bank = _train(job, train, np.flatnonzero(~held_out))
    chosen_on = np.flatnonzero(held_out)
    metric = dataset.info.metric
    validation = [
        fine_grained(metric, classes, train.labels[chosen_on])["accuracy"]
        for classes in _predictions(settings, bank, train, chosen_on)
    ]
    best = int(np.argmax(validation))  # the first of equals, which has the smallest rate
    predictions = _predictions(settings, bank, test, np.arange(len(test.labels)))[best]
    _, width, height, columns = train.parts[MAP].shape
    return Outcome(
        metrics=fine_grained(metric, predictions, test.labels),
        global_batch=settings.batch,
        details={
            "learning_rate": settings.learning_rates[best],
            "validation_accuracy": {
                f"{rate:g}": accuracy for rate, accuracy in zip(settings.learning_rates, validation, strict=True)
            },
            "feature_width": width,
            "tokens": height * columns,
            "probe_parameters": sum(weight.numel() for weight in bank.probes[best].parameters()),
            "training_images": int((~held_out).sum()),
            "validation_images": int(held_out.sum()),
        },
        raw={"predictions": predictions, "labels": test.labels},
    )


def _refuse_too_large(job: Job[AttentiveSettings]) -> None:
    """Raise SizeError if the tokens of all images fit neither into the cache nor into memory, before they are made."""
    side = job.backbone.side(job.settings.resolution)
    shape = part_of(job.backbone, Extraction(side, what=MAP)).shape
    images = len(job.dataset.training_samples) + len(job.dataset.reported_samples)
    needed = BYTES * math.prod(shape) * images
    room = max(psutil.virtual_memory().available, free_bytes(job.cache) if job.cache else 0)
    if needed > room:
        raise SizeError(
            f"tokens of {images:,} images take {needed / 1e9:,.0f} GB, and {room / 1e9:,.0f} are free; take a smaller "
            "data set or resolution, or a cache on a larger disk"
        )


def _held_out(job: Job[AttentiveSettings], labels: np.ndarray) -> np.ndarray:
    """Return the mask of the training images to choose on: the official split, or a share of each class."""
    roles = job.dataset.info.roles
    if roles.select:
        return np.arange(len(labels)) >= len(job.dataset.samples(roles.train))
    return hold_out(labels, job.settings.validation_share, job.dataset.class_names, job.seed)


def _train(job: Job[AttentiveSettings], train: FrozenParts, rows: np.ndarray) -> ProbeBank:
    """Train the probes on these rows; an interrupted training goes on."""
    settings = job.settings
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(job.seed)
        bank = ProbeBank(settings, train.parts[MAP].shape[1], len(job.dataset.class_names)).to(job.device)
    batch = min(settings.batch, len(rows))
    steps = max(1, settings.epochs * len(rows) // batch)
    rates = zip(bank.probes, settings.learning_rates, strict=True)
    plan = Plan(
        images=Rows(rows),
        groups=[{"params": list(probe.parameters()), "lr": rate} for probe, rate in rates],
        optimizer=partial(torch.optim.AdamW, weight_decay=settings.weight_decay),
        schedule=warmup_then("cosine", total=steps, warmup=round(settings.warmup * steps)),
        steps=steps,
        forwards=1,
        batch=batch,
        lr=max(settings.learning_rates),
        precision="fp32",
        clip_norm=None,
        collate=train.batch,
    )
    with training(bank, plan, RunContext(job.device, job.work_dir, job.seed, job.progress, job.wandb)) as runner:
        runner.train()
    return bank.eval()


def _predictions(
    settings: AttentiveSettings, bank: ProbeBank, images: FrozenParts, rows: Sequence[int] | np.ndarray
) -> np.ndarray:
    """Predict the class [probes, N] of the images in these rows."""
    blocks = np.array_split(rows, math.ceil(len(rows) / settings.batch))
    batches = (bank.data_preprocessor(images.batch(block)) for block in blocks)
    return torch.cat([bank.predict(batch["parts"]) for batch in batches]).T.cpu().numpy()


def workload(settings: AttentiveSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the pass that gives the tokens; a probe reads them in much less."""
    training, _ = split_sizes(sizes)

    def solve(width: int, classes: int) -> float:
        work = width * (width + classes) * len(settings.learning_rates)
        return 3.0 * training * settings.epochs * work  # forward, and backward for weights and inputs

    return frozen_work(sizes, settings.resolution, settings.crop_pct, what=(MAP,), solve=solve)


TASK = Task(
    name="attentive",
    about="a trained attention pool of the frozen last map, with a linear classifier",
    settings=AttentiveSettings,
    metrics=FINE_GRAINED,
    run=run,
    workload=workload,
)
