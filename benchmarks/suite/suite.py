"""Suites as data: the tasks, data sets and protocols that fill the columns of Table 1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.suite.protocols import protocol_path
from umt.declarations import build, read_mapping, refuse_fields
from umt.errors import DeclarationError, unknown_name
from umt.files import below

FOLDER = Path(__file__).parent / "suites"
# Fields of a recipe that a suite may change: none that names a backbone or a file, which `--set` lets people do.
CHANGEABLE = re.compile(
    r"(interaction|alignment|views|training)\.\w+|ema|seed|teachers\.\w+\.(objective|kind|feature_loss|size)"
)


@dataclass(frozen=True)
class Column:
    """A measured column: a task on a data set by a protocol, and the metric that the table shows."""

    heading: str
    task: str
    dataset: str
    protocol: str  # a name, or a YAML file
    metric: str

    @property
    def protocol_name(self) -> str:
        """The name of the protocol in results."""
        return protocol_path(self.task, self.protocol).stem


@dataclass(frozen=True)
class StudentRun:
    """A distillation whose student is evaluated for a table."""

    label: str
    recipe: str
    changes: tuple[str, ...] = ()  # changes of the recipe, as `umt distill --set` takes them
    heads: tuple[str, ...] = ()  # spaces that an example evaluates beside it

    def __post_init__(self) -> None:
        for change in self.changes:
            if not CHANGEABLE.fullmatch(change.partition("=")[0]):
                raise DeclarationError(
                    f"field 'changes' of student '{self.label}' is '{change}', expected settings of interaction, "
                    "alignment, views or training; for other backbones write a recipe file beside the suite"
                )


@dataclass(frozen=True)
class CkaRun:
    """The comparison of each checkpoint with its teachers."""

    dataset: str
    limit: int  # images, evenly spaced
    resolution: int = 224  # pixels


@dataclass(frozen=True)
class TablePlan:
    """The needs of a table of the paper."""

    number: int
    jobs: tuple[str, ...] = ()  # TASK/DATASET of columns of the suite, with * for any
    heads: bool = False  # true if each head of a checkpoint is evaluated beside it
    students: tuple[StudentRun, ...] = ()  # trained on request
    cka: CkaRun | None = None


@dataclass(frozen=True)
class Suite:
    """`columns` are Table 1; `probes`, `zeroshot` and `costs` are tables that the paper does not have."""

    name: str
    source: str  # argument of `load_suite`: its name, or a file
    title: str
    about: str  # numbers that its results may be compared with
    seeds: int
    embedded_data: bool  # true if the package writes its own data when no data root is given
    columns: tuple[Column, ...]
    example: tuple[str, ...] = ()  # backbones that are evaluated if none is named, SPEC or LABEL=SPEC
    example_students: tuple[StudentRun, ...] = ()  # students that are distilled and evaluated before the backbones
    probes: tuple[Column, ...] = ()
    zeroshot: tuple[Column, ...] = ()
    costs: tuple[Column, ...] = ()
    tables: tuple[TablePlan, ...] = ()

    @property
    def measured(self) -> tuple[Column, ...]:
        """A column for each kind of job: two metrics of the same job are measured once."""
        columns = (*self.columns, *self.probes, *self.zeroshot, *self.costs)
        return tuple({(one.task, one.dataset, one.protocol): one for one in reversed(columns)}.values())[::-1]


def suite_names() -> list[str]:
    """List the suites that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """Read `suites/<name>.yaml`, or a YAML file given by its path; files that it names lie beside it.

    A suite is called after its file, because its name decides where results go.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if not path.is_file():
        raise unknown_name("suite", name, suite_names())
    record = read_mapping(path)
    refuse_fields(record, ("name", "source"), path, "a suite is called after its file")
    suite = build(Suite, {**record, "name": path.stem, "source": name}, path)
    return replace(
        suite,
        columns=_beside(path, suite.columns),
        probes=_beside(path, suite.probes),
        zeroshot=_beside(path, suite.zeroshot),
        costs=_beside(path, suite.costs),
        example_students=_with_recipes(path, suite.example_students),
        tables=tuple(replace(table, students=_with_recipes(path, table.students)) for table in suite.tables),
    )


def _beside(suite: Path, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns with protocols that are files by their full path; jobs may run in another folder."""
    return tuple(replace(column, protocol=_file_beside(suite, column.protocol)) for column in columns)


def _with_recipes(suite: Path, students: Sequence[StudentRun]) -> tuple[StudentRun, ...]:
    return tuple(replace(student, recipe=_file_beside(suite, student.recipe)) for student in students)


def _file_beside(suite: Path, name: str) -> str:
    """Return the full path of a YAML file that a suite names; any other name as it is.

    The name is relative to the suite's folder or to the current one; the file must lie in the suite's folder.
    """
    if not name.endswith((".yaml", ".yml")):
        return name
    from_here = Path(name).absolute()
    return str(below(suite.parent, from_here if from_here.is_file() else name).resolve())
