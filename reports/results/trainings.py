"""The curves that trainings left in the folders of their jobs, beside the result store."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.results.measurement import MAX_VALUE, Measurement
from umt.errors import UMTError
from umt.training.curves import LOG_FILE, Curve, curves_of

log = logging.getLogger(__name__)
LOSS = "loss"  # all that is minimised
TESTED = "test/"  # begins the name of a metric that is measured between the steps
MAX_POINTS = 200  # of a curve, which no screen shows more of


@dataclass(frozen=True)
class Training:
    """A measurement that trained something, and its curves by name."""

    measurement: Measurement
    curves: dict[str, Curve]

    @property
    def loss(self) -> Curve:
        return self.curves[LOSS]

    @property
    def tests(self) -> dict[str, Curve]:
        """The metrics that were measured between the steps, by name."""
        return {name.removeprefix(TESTED): curve for name, curve in self.curves.items() if name.startswith(TESTED)}


def trainings_of(measurements: Sequence[Measurement]) -> list[Training]:
    """Return the measurements whose job's folder holds a curve of the loss; a damaged log counts as none."""
    trainings = [Training(measurement, _curves(measurement.path)) for measurement in measurements]
    return [training for training in trainings if LOSS in training.curves]


def log_of(result: Path) -> Path:
    """Return the log of the job of a result: OUT/work/BACKBONE/JOB/log.jsonl for OUT/results/BACKBONE/JOB.json."""
    return result.parents[2] / "work" / result.parent.name / result.stem / LOG_FILE


def _curves(result: Path) -> dict[str, Curve]:
    if len(result.parents) < 3:
        return {}
    try:
        curves = curves_of(log_of(result), MAX_POINTS)
    except UMTError as error:
        log.warning("%s; its curves are left out", error)
        return {}
    return {name: curve for name, curve in curves.items() if _drawable(curve)}


def _drawable(curve: Curve) -> bool:
    return all(math.isfinite(value) and abs(value) <= MAX_VALUE for point in curve for value in point)
