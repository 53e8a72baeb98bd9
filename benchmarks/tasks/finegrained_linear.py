"""The usual linear probe: L2-regularised logistic regression on frozen features, its penalty chosen on validation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from timm.data import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.frozen import frozen_features, frozen_work
from benchmarks.tasks.splits import hold_out
from benchmarks.tasks.workload import Workload, split_sizes
from umt.errors import TooFewError, unknown_name
from umt.probes.path import Fit, penalty_path

TIES = ("strongest", "weakest")
MEAN_STD = ("weights", "clip")
DRAWS: dict[str, Callable[[int, int], np.ndarray]] = {  # (seed, images) -> a permutation of them
    "default_rng": lambda seed, images: np.random.default_rng(seed).permutation(images),
    "numpy": lambda seed, images: np.random.RandomState(seed).permutation(images),  # as numpy.random.shuffle
    "torch": lambda seed, images: torch.randperm(images, generator=torch.Generator().manual_seed(seed)).numpy(),
}
PRODUCTS = 20  # of features and weights for a penalty, about: 9 to 23 were counted


@dataclass(frozen=True)
class LinearSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    weakest_penalty: float  # objective: sum of cross-entropies + penalty / 2 * norm(weights)^2; the grid is logarithmic
    strongest_penalty: float
    penalties: int  # number of penalties
    validation_share: float  # share of the training images, if they have no split for selection
    official_validation: bool  # true to use the split for selection if the data set has one
    per_class: bool  # true to draw the share from each class, false from all images
    standardise: bool  # to mean 0 and deviation 1 over the images that are trained on
    ties: str  # rule for equally good penalties: take the "strongest" or the "weakest"
    gap: float  # certified bound of each fit's objective to its minimum, relative
    validation_draw: str = "default_rng"  # generator that draws the share from all images by the seed, one of DRAWS
    mean_std: str = "weights"  # by which images are normalised: as the weights expect it, or clip

    def __post_init__(self) -> None:
        if self.ties not in TIES:
            raise unknown_name("rule for ties", self.ties, TIES)
        if self.validation_draw not in DRAWS:
            raise unknown_name("validation_draw", self.validation_draw, DRAWS)
        if self.mean_std not in MEAN_STD:
            raise unknown_name("mean_std", self.mean_std, MEAN_STD)

    @property
    def grid(self) -> list[float]:
        """The penalties, in the form of `penalty_path`."""
        return [float(value) for value in np.geomspace(self.weakest_penalty, self.strongest_penalty, self.penalties)]


@dataclass(frozen=True)
class Scored:
    """A fit and its accuracy on the validation images."""

    fit: Fit
    accuracy: float


def run(job: Job[LinearSettings]) -> Outcome:
    """Choose the penalty on validation images, fit again with them, score the test split once."""
    settings = job.settings
    (train, labels), (test, answers) = probe_features(job)
    held_out = validation_mask(job, labels)
    scored = list(_validate(job, train, labels, held_out))
    best = _choose(scored, settings.ties)
    train, test = scaled(settings, train, test)
    (final,) = penalty_path(train, labels, [best.penalty], gap=settings.gap, device=job.device)
    predictions = final.predict(test)
    return Outcome(
        metrics=fine_grained(job.dataset.info.metric, predictions, answers),
        details={
            "penalty": final.penalty,
            "gap": final.gap,
            "validation_accuracy": {f"{candidate.fit.penalty:.3g}": candidate.accuracy for candidate in scored},
            "validation_gap": {f"{candidate.fit.penalty:.3g}": candidate.fit.gap for candidate in scored},
            "fits_not_certified": sum(not fit.certified for fit in [*(candidate.fit for candidate in scored), final]),
            "training_images": len(train),
            "validation_images": int(held_out.sum()),
        },
        raw={"predictions": predictions, "labels": answers},
    )


def probe_features(job: Job[LinearSettings]) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return features and labels of all training images, and of the reported ones, normalised as the settings say."""
    settings = job.settings
    if settings.mean_std == "clip":
        preprocess = job.backbone.preprocess
        job.backbone.use_preprocess(replace(preprocess, mean=OPENAI_CLIP_MEAN, std=OPENAI_CLIP_STD))
    train = frozen_features(job, job.dataset.training_samples, settings.resolution, settings.crop_pct)
    return train, frozen_features(job, job.dataset.reported_samples, settings.resolution, settings.crop_pct)


def validation_mask(job: Job[LinearSettings], labels: np.ndarray) -> np.ndarray:
    """Return the mask of the images to choose the penalty on: the official split, or a share drawn by the seed."""
    settings, roles = job.settings, job.dataset.info.roles
    if roles.select and settings.official_validation:
        return np.arange(len(labels)) >= len(job.dataset.samples(roles.train))
    if settings.per_class:
        return hold_out(labels, settings.validation_share, job.dataset.class_names, job.seed)
    return _draw_mask(len(labels), settings.validation_share, DRAWS[settings.validation_draw], job.seed)


def _draw_mask(images: int, share: float, draw: Callable[[int, int], np.ndarray], seed: int) -> np.ndarray:
    """Draw the mask of a random share of the images, at least one and never all."""
    if images < 2:
        raise TooFewError(f"{images} training image; choosing a penalty needs one more to validate on")
    size = min(max(1, int(share * images)), images - 1)
    held_out = np.zeros(images, dtype=bool)
    held_out[draw(seed, images)[:size]] = True
    return held_out


def _validate(
    job: Job[LinearSettings], features: np.ndarray, labels: np.ndarray, held_out: np.ndarray
) -> Iterator[Scored]:
    """Yield every penalty's fit, from strong to weak, with its accuracy on the held images."""
    settings = job.settings
    train, validation = scaled(settings, features[~held_out], features[held_out])
    path = penalty_path(train, labels[~held_out], settings.grid, gap=settings.gap, device=job.device)
    for done, fit in enumerate(path, 1):
        accuracy = fine_grained(job.dataset.info.metric, fit.predict(validation), labels[held_out])["accuracy"]
        yield Scored(fit, accuracy)
        job.progress(done, settings.penalties, f"penalty {fit.penalty:.1e}: {accuracy:.1f}%, gap {fit.gap:.0e}")


def _choose(scored: list[Scored], ties: str) -> Fit:
    """Return the fit with the best accuracy, by the rule for ties; `scored` goes from strong to weak."""
    in_order = scored if ties == "strongest" else scored[::-1]
    return max(in_order, key=lambda candidate: candidate.accuracy).fit  # max keeps the first of equals


def scaled(settings: LinearSettings, train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scale both by mean and deviation of the first if the protocol standardises; constant features become 0."""
    if not settings.standardise:
        return train, test
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    varies = deviation > np.finfo(np.float32).eps * np.abs(mean)
    scale = np.where(varies, 1 / np.where(varies, deviation, 1), 0)
    return (train - mean) * scale, (test - mean) * scale


def workload(settings: LinearSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of all images, and the penalties that they are solved under."""
    training, _ = split_sizes(sizes)

    def solve(width: int, classes: int) -> float:
        return float(training) * width * classes * settings.penalties * PRODUCTS

    return frozen_work(sizes, settings.resolution, settings.crop_pct, solve=solve, mean_std=settings.mean_std)


TASK = Task(
    name="finegrained_linear",
    about="L2-regularised logistic regression on frozen pooled features",
    settings=LinearSettings,
    metrics=FINE_GRAINED,
    run=run,
    workload=workload,
)
