"""Suites as data: which tasks, data sets and protocols fill the columns of Table 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.protocols import protocol_path
from umt.declarations import build, read_mapping
from umt.errors import unknown_name

FOLDER = Path(__file__).parent / "suites"


@dataclass(frozen=True)
class Column:
    """One measured column: a task on a data set by a protocol, and the metric that the table shows."""

    heading: str
    task: str
    dataset: str
    protocol: str  # a name, or a YAML file
    metric: str

    @property
    def protocol_name(self) -> str:
        """The name that results carry."""
        return protocol_path(self.task, self.protocol).stem


@dataclass(frozen=True)
class StudentRun:
    """A distillation whose student stands in a table."""

    label: str
    recipe: str
    changes: tuple[str, ...] = ()  # of the recipe, as `umt distill --set` takes them


@dataclass(frozen=True)
class TablePlan:
    """What one table of the paper needs."""

    number: int
    jobs: tuple[str, ...] = ()  # TASK/DATASET of columns of the suite, with * for any
    heads: bool = False  # whether each head of a checkpoint is evaluated beside it
    students: tuple[StudentRun, ...] = ()  # trained on request
    analyses: tuple[tuple[str, ...], ...] = ()  # `umt` commands a checkpoint; {backbone}, {label}, {data}, {out}


@dataclass(frozen=True)
class Suite:
    """`columns` are Table 1; `probes`, `zeroshot` and `costs` are tables that the paper does not have."""

    name: str
    source: str  # what `load_suite` reads it from: its name, or a file
    title: str
    about: str  # what its numbers may be compared with
    seeds: int
    embedded_data: bool  # whether the package writes its own data where no data root is given
    example: tuple[str, ...]  # backbones that are evaluated where none is named; {out} is the folder of results
    columns: tuple[Column, ...]
    probes: tuple[Column, ...] = ()
    zeroshot: tuple[Column, ...] = ()
    costs: tuple[Column, ...] = ()
    tables: tuple[TablePlan, ...] = ()
    prepare: tuple[tuple[str, ...], ...] = ()  # `umt` commands that make the example's backbones; {data}, {out}

    @property
    def measured(self) -> tuple[Column, ...]:
        """A column for each kind of job: two metrics of the same job are measured once."""
        columns = (*self.columns, *self.probes, *self.zeroshot, *self.costs)
        return tuple({(one.task, one.dataset, one.protocol): one for one in reversed(columns)}.values())[::-1]


def suite_names() -> list[str]:
    """Suites that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """Read `suites/<name>.yaml`, or a YAML file given by its path; protocol files are looked for beside it first."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise unknown_name("suite", name, suite_names())
    suite = build(Suite, {"name": path.stem, "source": name, **read_mapping(path)}, path)
    return replace(
        suite,
        columns=_beside(path, suite.columns),
        probes=_beside(path, suite.probes),
        zeroshot=_beside(path, suite.zeroshot),
        costs=_beside(path, suite.costs),
    )


def _beside(suite: Path, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Columns whose protocol is a file beside the suite, by its full path; jobs may run in another folder."""
    places = [(suite.parent / column.protocol).resolve() for column in columns]
    return tuple(
        replace(column, protocol=str(place)) if place.is_file() else column
        for column, place in zip(columns, places, strict=True)
    )
