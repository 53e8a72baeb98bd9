"""The linear probe for images of several classes: a logistic regression for each class, one penalty for all.

The penalty is that of the mean average precision on validation images, as in the public code of SynCLR
(google-research/syn-rep-learn, SynCLR/eval/main_downstream_linear.py), by which Proteus evaluates, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.average_precision import PrecisionScores
from benchmarks.tasks.contract import Job, Metric, Outcome, Task
from benchmarks.tasks.finegrained_linear import PRODUCTS, LinearSettings, probe_features, scaled, validation_mask
from benchmarks.tasks.frozen import frozen_work
from benchmarks.tasks.workload import Workload, split_sizes
from umt.data.targets.multilabel import DIFFICULT, decode_states
from umt.errors import DeclarationError, TooFewError, unknown_name
from umt.probes.path import Fit, penalty_path

LEFT_OUT = -1  # beside 0 and 1 in `truth`
DIFFICULT_AS = {"absent": 0, "left_out": LEFT_OUT}
TWO_COLUMNS = 2  # a penalty on two opposite columns of a softmax is half as strong on their difference


@dataclass(frozen=True, kw_only=True)
class MultilabelSettings(LinearSettings):
    """Everything that changes the number."""

    difficult: str  # how difficult images of a class count for it, in training and test: one of DIFFICULT_AS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.difficult not in DIFFICULT_AS:
            raise unknown_name("difficult", self.difficult, DIFFICULT_AS)
        if self.per_class:
            raise DeclarationError("per_class is true, but an image has several classes; write per_class: false")


@dataclass(frozen=True)
class ClassProbes:
    """The probes of all classes under each penalty: scores [P, N, C] of other images, and the fits [C][P]."""

    scores: np.ndarray
    fits: list[list[Fit]]

    @property
    def gap(self) -> float:
        """The largest certified gap."""
        return max(fit.gap for fits in self.fits for fit in fits)

    @property
    def not_certified(self) -> int:
        """The number of fits without their certificate."""
        return sum(not fit.certified for fits in self.fits for fit in fits)


def run(job: Job[MultilabelSettings]) -> Outcome:
    """Choose the penalty on validation images, fit again with them, score the test split once."""
    settings = job.settings
    (train, codes), (test, answers) = probe_features(job)
    truth, test_truth = (_truth(job, labels) for labels in (codes, answers))
    held_out = validation_mask(job, codes)
    parts = scaled(settings, train[~held_out], train[held_out])
    tried = _fit(job, parts, truth[~held_out], settings.grid)
    values = {
        penalty: _mean_precision(scores, truth[held_out])
        for penalty, scores in zip(sorted(settings.grid, reverse=True), tried.scores, strict=True)
    }
    penalty = max(values if settings.ties == "strongest" else reversed(values), key=values.__getitem__)
    final = _fit(job, scaled(settings, train, test), truth, [penalty])
    [scores] = final.scores
    return Outcome(
        metrics={
            "map_11": _mean_precision(scores, test_truth),
            "map": _mean_precision(scores, test_truth, levels=False),
        },
        details={
            "penalty": penalty,
            "gap": final.gap,
            "validation_map_11": {f"{candidate:.3g}": value for candidate, value in values.items()},
            "validation_gap": tried.gap,
            "fits_not_certified": tried.not_certified + final.not_certified,
            "training_images": len(train),
            "validation_images": int(held_out.sum()),
            "class_ap": _class_precision(job, scores, test_truth),
        },
        raw={"scores": scores, "truth": test_truth},
    )


def _truth(job: Job[MultilabelSettings], codes: np.ndarray) -> np.ndarray:
    """Return 1 [N, C] for a class that is in an image, 0 for one that is not, LEFT_OUT for one that does not count."""
    states = decode_states(codes, len(job.dataset.info.label_names))
    return np.where(states == DIFFICULT, DIFFICULT_AS[job.settings.difficult], states).astype(np.int8)


def _mean_precision(scores: np.ndarray, truth: np.ndarray, levels: bool = True) -> float:
    return float(PrecisionScores(scores, truth, levels).over(np.ones((len(scores), 1)))[0])


def _class_precision(job: Job[MultilabelSettings], scores: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    """Return the 11-point average precision of each class by its name, None for a class that no image has."""
    values = PrecisionScores(scores, truth, levels=True).by_class()
    known = [None if np.isnan(value) else float(value) for value in values]
    return dict(zip(job.dataset.info.label_names, known, strict=True))


def _fit(
    job: Job[MultilabelSettings], parts: tuple[np.ndarray, np.ndarray], truth: np.ndarray, penalties: Sequence[float]
) -> ClassProbes:
    """Fit each class on the first of the parts under the penalties, from strong to weak, and score the second."""
    train, test = parts
    classes = truth.shape[1]
    scores, fits = np.empty((len(penalties), len(test), classes)), list[list[Fit]]()
    for label in range(classes):
        counted = truth[:, label] != LEFT_OUT
        _refuse_one_sided(job, truth[counted, label], label)
        softmax = [TWO_COLUMNS * penalty for penalty in penalties]
        gap, device = job.settings.gap, job.device
        fits.append(list(penalty_path(train[counted], truth[counted, label], softmax, gap=gap, device=device)))
        for row, fit in zip(scores, fits[-1], strict=True):
            row[:, label] = np.diff(fit.logits(test).numpy(), axis=1)[:, 0]
        job.progress(label + 1, classes, f"class {label + 1}: {len(penalties)} penalties")
    return ClassProbes(scores, fits)


def _refuse_one_sided(job: Job[MultilabelSettings], truth: np.ndarray, label: int) -> None:
    present = int(truth.sum())
    if not 0 < present < len(truth):
        name = job.dataset.info.label_names[label]
        raise TooFewError(
            f"{job.dataset.root}: class '{name}' is in {present} of {len(truth)} training images; "
            "a probe needs images with it and without it: complete the data"
        )


def workload(settings: MultilabelSettings, sizes: Mapping[str, int]) -> Workload:
    """Count the features of all images, and the penalties that each class is solved under."""
    training, _ = split_sizes(sizes)

    def solve(width: int, classes: int) -> float:
        return float(training) * width * TWO_COLUMNS * classes * settings.penalties * PRODUCTS

    return frozen_work(sizes, settings.resolution, settings.crop_pct, solve=solve, mean_std=settings.mean_std)


TASK = Task(
    name="multilabel_linear",
    about="L2-regularised logistic regression for each class on frozen pooled features, by mean average precision",
    settings=MultilabelSettings,
    metrics=(Metric("map_11", "%"), Metric("map", "%")),
    run=run,
    kinds=("multilabel",),
    workload=workload,
)
