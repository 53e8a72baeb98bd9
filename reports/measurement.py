"""What tables see of results: a model measured in one way, with the runs that differ in their seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.results import Data, Environment, Result

INTERVAL = "interval"  # of a result's details: 95% of its first metric over its test images, low and high
SHOWN = ("settings", "against")  # details that tables show, beside it
NOTHING: Mapping[str, Any] = {}  # one for all


@dataclass(frozen=True, slots=True)
class Model:
    """What was measured."""

    backbone: str  # label of the table row
    weights_hash: str
    spec: str
    architecture: str
    provenance: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What makes a row of its own: label and weights."""
        return self.backbone, self.weights_hash


@dataclass(frozen=True, slots=True)
class Setup:
    """How it was measured, and on what."""

    task: str
    dataset: str
    protocol: str
    protocol_hash: str
    protocol_version: int
    data_fingerprint: str
    data: Data
    suite: str
    footnote: str | None
    metrics: Sequence[str]
    units: Mapping[str, str]
    lower_is_better: Sequence[str]
    details: Mapping[str, Any]

    @property
    def job(self) -> tuple[str, ...]:
        """What of it makes a job another one."""
        return self.task, self.dataset, self.protocol, self.protocol_hash, self.data_fingerprint


@dataclass(frozen=True, slots=True)
class Run:
    """One result of a measurement."""

    path: Path
    seed: int
    environment: Environment  # without its time, so that many runs have the same
    interval: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A model in a setup. A run is a place in the sequences, which are in the order of seeds."""

    model: Model
    setup: Setup
    folder: Path  # of the result files
    files: Mapping[str, str]  # name -> stamp, see `ResultStore.stamps`
    seeds: Sequence[int]
    table: Sequence[Sequence[float]]  # a row for each of `Setup.metrics`, a column for each run
    environments: Sequence[Environment]
    intervals: Sequence[Mapping[str, float] | None]

    def has(self, metric: str) -> bool:
        return metric in self.setup.metrics

    def values(self, metric: str) -> Sequence[float]:
        """Of one metric, a value a run."""
        return self.table[self.setup.metrics.index(metric)]

    @property
    def runs(self) -> list[Run]:
        """The results one by one."""
        paths = [self.folder / name for name in self.files]
        return [Run(*run) for run in zip(paths, self.seeds, self.environments, self.intervals, strict=True)]

    def only(self, places: Sequence[int]) -> Measurement:
        """The same with these of its runs, in the given order."""
        names = list(self.files)
        return replace(
            self,
            files={names[place]: self.files[names[place]] for place in places},
            seeds=[self.seeds[place] for place in places],
            table=[[row[place] for place in places] for row in self.table],
            environments=[self.environments[place] for place in places],
            intervals=[self.intervals[place] for place in places],
        )


def measured(path: Path, result: Result, stamp: str = "") -> Measurement:
    """One result as a measurement of one run."""
    key, details = result.key, result.details
    model = Model(key.backbone, key.weights_hash, result.spec, result.architecture, result.provenance)
    setup = Setup(
        key.task, key.dataset, key.protocol, key.protocol_hash, result.protocol_version, key.data_fingerprint,
        result.data, result.suite, result.footnote, list(result.metrics), result.units, result.lower_is_better,
        {name: details[name] for name in SHOWN if name in details} or NOTHING,
    )  # fmt: skip
    values = [[value] for value in result.metrics.values()]
    environment = replace(result.environment, started="")
    interval = details.get(INTERVAL)
    return Measurement(model, setup, path.parent, {path.name: stamp}, [key.seed], values, [environment], [interval])


def grouped(found: Iterable[Measurement], shared: Shared) -> list[Measurement]:
    """The measurements of one folder, with the runs of the same model and setup together."""
    groups: dict[tuple[int, int], list[Measurement]] = {}
    for one in found:
        environments = [shared(environment) for environment in one.environments]
        alike = replace(one, model=shared(one.model), setup=shared(one.setup), environments=environments)
        groups.setdefault((id(alike.model), id(alike.setup)), []).append(alike)
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[Measurement]) -> Measurement:
    """The runs of all, in the order of seeds."""
    joined = replace(
        group[0],
        files={name: stamp for one in group for name, stamp in one.files.items()},
        seeds=[seed for one in group for seed in one.seeds],
        table=[[value for row in rows for value in row] for rows in zip(*(one.table for one in group), strict=True)],
        environments=[environment for one in group for environment in one.environments],
        intervals=[interval for one in group for interval in one.intervals],
    )
    return joined.only(sorted(range(len(joined.seeds)), key=joined.seeds.__getitem__))


class Shared:
    """Of equal parts the first, so that many results hold one."""

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}

    def __call__(self, part: Any) -> Any:
        return self._first.setdefault(f"{type(part).__name__}{json.dumps(plain(part), default=plain)}", part)


def plain(part: Any) -> list[Any]:
    """The values of a dataclass in order of its fields."""
    return [getattr(part, field.name) for field in fields(part)]
