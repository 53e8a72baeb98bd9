"""Results as tables read them: a model measured in one way, with the runs that differ only in their seed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.results import AGAIN, INTERVAL, Data, Environment, Result
from umt.errors import ResultError
from umt.text import brief

SHOWN = ("settings", "against")  # details that tables show, beside it
LARGEST = 1e30  # of a value, loss or step: means and the axes of a drawing overflow long before floats do
NOTHING: Mapping[str, Any] = {}  # one for all


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was measured."""

    backbone: str  # label of the table row
    weights_hash: str
    spec: str
    architecture: str
    provenance: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """The label and the weights, which together make a row."""
        return self.backbone, self.weights_hash


@dataclass(frozen=True, slots=True)
class Setup:
    """The task, data, protocol and suite of a measurement."""

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
        """The fields that tell one job from another."""
        return self.task, self.dataset, self.protocol, self.protocol_hash, self.data_fingerprint


@dataclass(frozen=True, slots=True)
class Run:
    """A result of a measurement."""

    path: Path
    seed: int
    environment: Environment  # without its time, so that many runs have the same
    interval: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """A model in a setup. A run is an index into the sequences, which are in the order of seeds."""

    model: Model
    setup: Setup
    folder: Path  # of the result files
    files: Sequence[str]  # names
    seeds: Sequence[int]
    table: Sequence[Sequence[float]]  # a row for each of `Setup.metrics`, a column for each run
    environments: Sequence[Environment]
    intervals: Sequence[Mapping[str, float] | None]

    def has(self, metric: str) -> bool:
        return metric in self.setup.metrics

    def values(self, metric: str) -> Sequence[float]:
        """Return the values of one metric, a value for each run."""
        return self.table[self.setup.metrics.index(metric)]

    @property
    def runs(self) -> list[Run]:
        """The results one by one."""
        paths = [self.folder / name for name in self.files]
        return [Run(*run) for run in zip(paths, self.seeds, self.environments, self.intervals, strict=True)]

    def only(self, places: Sequence[int]) -> Measurement:
        """Return the measurement with only the runs at these places, in the given order."""
        return replace(
            self,
            files=[self.files[place] for place in places],
            seeds=[self.seeds[place] for place in places],
            table=[[row[place] for place in places] for row in self.table],
            environments=[self.environments[place] for place in places],
            intervals=[self.intervals[place] for place in places],
        )


def measured(path: Path, result: Result) -> Measurement:
    """Turn a result into a measurement of one run; UMTError if it has no values, or values that cannot be averaged."""
    key, details = result.key, result.details
    model = Model(key.backbone, key.weights_hash, result.spec, result.architecture, result.provenance)
    setup = Setup(
        key.task, key.dataset, key.protocol, key.protocol_hash, result.protocol_version, key.data_fingerprint,
        result.data, result.suite, result.footnote, list(result.metrics), result.units, result.lower_is_better,
        {name: details[name] for name in SHOWN if name in details} or NOTHING,
    )  # fmt: skip
    if not result.metrics or any(abs(value) > LARGEST for value in result.metrics.values()):
        raise ResultError(
            f"{path}: field 'metrics' is {brief(result.metrics)}, expected values up to {LARGEST:g}; {AGAIN}"
        )
    values = [[value] for value in result.metrics.values()]
    environment = replace(result.environment, started="")
    return Measurement(
        model, setup, path.parent, [path.name], [key.seed], values, [environment], [_interval(path, details)]
    )


def _interval(path: Path, details: Mapping[str, Any]) -> Mapping[str, float] | None:
    interval = details.get(INTERVAL)
    if interval is None:
        return None
    ends = [interval.get(end) for end in ("low", "high")] if isinstance(interval, Mapping) else [None]
    if not all(isinstance(end, (int, float)) and abs(end) <= LARGEST for end in ends):
        raise ResultError(
            f"{path}: field 'details.{INTERVAL}' is {brief(interval)}, expected numbers 'low' and 'high'; {AGAIN}"
        )
    return interval


def grouped(found: Iterable[Measurement], shared: Shared) -> list[Measurement]:
    """Group the measurements of one folder: runs of the same model and setup come together."""
    groups: dict[tuple[int, int], list[Measurement]] = {}
    for one in found:
        environments = [shared(environment) for environment in one.environments]
        alike = replace(one, model=shared(one.model), setup=shared(one.setup), environments=environments)
        groups.setdefault((id(alike.model), id(alike.setup)), []).append(alike)
    return [_joined(group) for group in groups.values()]


def _joined(group: Sequence[Measurement]) -> Measurement:
    """Join the runs of all, in the order of seeds."""
    joined = replace(
        group[0],
        files=[name for one in group for name in one.files],
        seeds=[seed for one in group for seed in one.seeds],
        table=[[value for row in rows for value in row] for rows in zip(*(one.table for one in group), strict=True)],
        environments=[environment for one in group for environment in one.environments],
        intervals=[interval for one in group for interval in one.intervals],
    )
    return joined.only(sorted(range(len(joined.seeds)), key=joined.seeds.__getitem__))


class Shared:
    """A cache that returns the first of equal parts, so that many results hold one."""

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}

    def __call__(self, part: Any) -> Any:
        return self._first.setdefault(f"{type(part).__name__}{json.dumps(plain(part), default=plain)}", part)


def plain(part: Any) -> list[Any]:
    """Return the values of a dataclass in order of its fields."""
    return [getattr(part, field.name) for field in fields(part)]
