"""The plan of a suite, in plain values: backbones and data sets as they were found, and the jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.suite.request import JobRequest
from benchmarks.suite.suite import Suite
from umt.backbones.spec import BackboneName
from umt.errors import MissingFileError

LATER = "is distilled first"  # of a student that has no file yet


@dataclass(frozen=True)
class PlanOptions:
    """Options that the user chose."""

    suite: Suite
    backbones: tuple[BackboneName, ...]
    data_root: Path
    data: Mapping[str, Path]  # folders of single data sets
    out: Path
    tasks: tuple[str, ...]  # empty: all of the suite
    seeds: int
    device: str
    cache: Path | None = None
    compiled: bool = False
    wandb: bool = False
    processes: int = 1  # processes for a job that several can share
    seconds: float | None = None  # time limit for a backbone to load and to give its first features


@dataclass(frozen=True)
class BackboneCheck:
    """A backbone as it was found."""

    name: BackboneName
    weights_hash: str = ""
    stamp: tuple[int, ...] | None = None  # of the file of its weights
    parameters: int = 0
    problem: str | None = None
    no_dense: str | None = None  # the reason if dense tasks cannot use it
    only_side: int | None = None  # pixels, if it takes images of no other size
    evidence: Mapping[str, str] = field(default_factory=dict)  # facts of its checkpoint's recognition, and the reasons
    facts: Sequence[tuple[str, Any]] = field(default=(), compare=False, repr=False)  # of the BuildRecord


@dataclass(frozen=True)
class DatasetCheck:
    """A data set as it was found."""

    name: str
    folder: Path  # of its layout, or where it is expected if there is a problem
    title: str = ""
    fingerprint: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    problem: str | None = None
    kind: str = ""  # empty if the set is not known
    untrainable: str | None = None  # the reason if a split to train on is not there


@dataclass(frozen=True)
class PlannedJob:
    """A job that is 'done', 'to run', 'blocked' for a reason, or comes 'later', when its student has been distilled."""

    title: str
    protocol_hash: str
    state: str
    request: JobRequest | None = None
    problem: str | None = None


@dataclass(frozen=True)
class RunPlan:
    """Everything that the suite would do."""

    device: str  # the device that 'auto' stands for
    backbones: tuple[BackboneCheck, ...]
    datasets: tuple[DatasetCheck, ...]
    jobs: tuple[PlannedJob, ...]

    @classmethod
    def merged(cls, plans: Sequence[RunPlan]) -> RunPlan:
        """Merge several plans; shared entries are kept once."""
        return cls(
            plans[0].device,
            tuple({check.name: check for plan in plans for check in plan.backbones}.values()),
            tuple({(check.name, check.fingerprint): check for plan in plans for check in plan.datasets}.values()),
            tuple({job.title: job for plan in plans for job in plan.jobs}.values()),
        )

    def with_later(self) -> RunPlan:
        """Return the plan of a dry run: students of the suite that a run distils first block nothing.

        They have no file yet, and are the only names that a suite and not a person has given.
        """
        awaited = {
            check.problem
            for check in self.backbones
            if not check.name.trusted and MissingFileError.code in (check.problem or "")
        }
        backbones = (replace(check, problem=LATER) if check.problem in awaited else check for check in self.backbones)
        jobs = (
            replace(job, state="later", problem=None) if job.problem and job.problem in awaited else job
            for job in self.jobs
        )
        return replace(self, backbones=tuple(backbones), jobs=tuple(jobs))

    def requests(self) -> list[JobRequest]:
        """Return the jobs that are still to run."""
        return [job.request for job in self.jobs if job.state == "to run" and job.request]
