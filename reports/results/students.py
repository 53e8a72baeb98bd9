"""Distilled students in a result store, and their recipes as their checkpoints state them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from reports.results.measurement import MAX_VALUE, Measurement

HEAD_FIELDS = ("space", "space_kind", "readout")  # the fields that heads add to their student's provenance
DESCRIPTION = attrgetter("result.provenance", "result.architecture")  # of a measurement


@dataclass(frozen=True)
class TeacherRecord:
    """A teacher of a student as its checkpoint names it, and the losses to it in the student's last epoch."""

    name: str  # of its space
    kind: str
    backbone: str
    objective: str  # feature loss
    losses: Mapping[str, float]  # by part: feature, token
    weights: str | None = None  # the file of its weights, if no hub has them

    @property
    def model(self) -> str:
        """The name of the backbone without its source."""
        return self.backbone.partition(":")[2].partition("?")[0] or self.backbone


@dataclass(frozen=True)
class StudentRecord:
    """A distilled student as its checkpoint describes it."""

    digest: str  # equal for a student and its heads
    recipe: str
    read_out: bool  # true if the recipe names heads for it
    settings: str  # of the recipe but for name, text and seed: students of equal settings are runs of one thing
    architecture: str
    interaction: Mapping[str, Any]
    teachers: tuple[TeacherRecord, ...]
    curve: Mapping[str, Sequence[float]]  # of each loss, with the steps under "step"; empty if none was kept

    @property
    def lineage(self) -> str:
        """Architecture and teachers, as the title of a group of rows."""
        return f"{self.architecture} of {', '.join(teacher.model for teacher in self.teachers)}"


@dataclass(frozen=True)
class StudentMeasurement:
    """A measurement of a student, as a plain backbone or through heads."""

    student: StudentRecord
    space: str | None  # of its only head
    read_out: bool  # true if the recipe names these heads
    measurement: Measurement

    @property
    def plain(self) -> bool:
        """True if no head was used."""
        return self.space is None and not self.read_out

    @property
    def stands_for_student(self) -> bool:
        """True for the measurement of the student as its recipe means it to be read out."""
        return self.read_out or (self.plain and not self.student.read_out)


def students_of(measurements: Sequence[Measurement]) -> list[StudentMeasurement]:
    """Return the measurements whose model states its distillation; the others are of no student."""
    return [
        StudentMeasurement(student, provenance.get("space"), "readout" in provenance, measurement)
        for (provenance, architecture), runs in groupby(measurements, DESCRIPTION)
        if provenance and (student := student_from(provenance, architecture))
        for measurement in runs
    ]


def student_from(provenance: Mapping[str, Any], architecture: str) -> StudentRecord | None:
    """Return the student that a checkpoint's provenance describes, None if it holds no recipe."""
    try:
        record = {key: value for key, value in provenance.items() if key not in HEAD_FIELDS}
        recipe = record["recipe"]
        settings = {key: value for key, value in recipe.items() if key not in ("name", "about", "seed", "otherwise")}
        teachers = tuple(_teacher(teacher, record) for teacher in recipe["teachers"])
        return StudentRecord(
            _digest(record),
            str(recipe["name"]),
            recipe.get("readout") is not None,
            _digest(settings),
            architecture,
            dict(recipe["interaction"]),
            teachers,
            _curve(record),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
        return None  # a file may hold anything; without a sound recipe it is not in these tables


def _teacher(teacher: Mapping[str, Any], record: Mapping[str, Any]) -> TeacherRecord:
    name = str(teacher["name"])
    losses = {part: float(value) for part, value in record["losses"].get(name, {}).items()}
    weights = None if teacher.get("weights") is None else str(teacher["weights"])
    kind, backbone = str(teacher["kind"]), str(teacher["backbone"])
    return TeacherRecord(name, kind, backbone, str(record["objectives"][name]), losses, weights)


def _curve(record: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return curves of equal length, which can be drawn, or none."""
    curve = {str(name): [float(value) for value in values] for name, values in record.get("curve", {}).items()}
    lengths = {len(values) for values in curve.values()}
    drawable = all(abs(value) <= MAX_VALUE for values in curve.values() for value in values)
    return curve if "step" in curve and len(lengths) == 1 and drawable else {}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
