"""Aircraft, Caltech101 and CUB by logistic regression on frozen features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.tasks.accuracy import FINE_GRAINED, fine_grained
from benchmarks.tasks.contract import Job, Outcome, Task
from benchmarks.tasks.frozen import frozen_features
from benchmarks.tasks.logistic import Fit, penalty_path
from benchmarks.tasks.splits import SPLITS, hold_out, report_samples, training_samples


@dataclass(frozen=True)
class LinearSettings:
    """Everything that changes the number."""

    resolution: int  # pixels
    crop_pct: float  # share of the image's shorter side that the centre crop keeps
    weakest_penalty: float  # the grid is logarithmic
    strongest_penalty: float
    penalties: int  # how many
    validation_share: float  # of each class, where the data set has no split for selection
    tolerance: float  # of the gradient of the mean loss
    max_iterations: int  # a fit

    @property
    def grid(self) -> list[float]:
        """The penalties, in the form of `penalty_path`."""
        return [float(value) for value in np.geomspace(self.weakest_penalty, self.strongest_penalty, self.penalties)]


def run(job: Job) -> Outcome:
    """Choose the penalty on validation images, fit again with them, score the test split once."""
    settings: LinearSettings = job.settings
    train, labels = frozen_features(job, training_samples(job.dataset), settings.resolution, settings.crop_pct)
    test, answers = frozen_features(job, report_samples(job.dataset), settings.resolution, settings.crop_pct)
    held = _validation(job, labels)
    scores, unconverged = _validate(job, train, labels, held)
    chosen = max(scores, key=lambda penalty: (scores[penalty], penalty))  # of equals the strongest
    *_, final = _path(settings, train, labels, [value for value in settings.grid if value >= chosen])
    predictions = final.predict(test)
    return Outcome(
        metrics=fine_grained(job.dataset.info.name, predictions, answers),
        details={
            "penalty": chosen,
            "validation_accuracy": {f"{penalty:.3g}": score for penalty, score in scores.items()},
            "fits_not_converged": unconverged + (not final.converged),
            "training_images": len(train),
            "validation_images": int(held.sum()),
        },
        raw={"predictions": predictions, "labels": answers},
    )


def _validation(job: Job, labels: np.ndarray) -> np.ndarray:
    """Mask of the images the penalty is chosen on: the official split, else a share of each class drawn by the seed."""
    splits = SPLITS[job.dataset.info.name]
    if splits.select:
        return np.arange(len(labels)) >= len(job.dataset.samples(splits.train))
    return hold_out(labels, job.settings.validation_share, job.dataset.class_names, job.seed)


def _validate(job: Job, features: np.ndarray, labels: np.ndarray, held: np.ndarray) -> tuple[dict[float, float], int]:
    """Validation accuracy of each penalty, and the number of fits that did not converge."""
    scores, unconverged = {}, 0
    for done, fit in enumerate(_path(job.settings, features[~held], labels[~held], job.settings.grid), 1):
        found = fine_grained(job.dataset.info.name, fit.predict(features[held]), labels[held])
        scores[fit.penalty] = found["accuracy"]
        unconverged += not fit.converged
        job.progress(done, job.settings.penalties, f"penalty {fit.penalty:.1e}: {found['accuracy']:.1f}%")
    return scores, unconverged


def _path(settings: LinearSettings, features: np.ndarray, labels: np.ndarray, grid: Sequence[float]) -> Iterator[Fit]:
    return penalty_path(features, labels, grid, tolerance=settings.tolerance, max_iterations=settings.max_iterations)


TASK = Task(
    name="finegrained_linear",
    about="L2-regularised logistic regression on frozen pooled features",
    settings=LinearSettings,
    datasets=("aircraft", "caltech101", "cub"),
    metrics=FINE_GRAINED,
    run=run,
)
