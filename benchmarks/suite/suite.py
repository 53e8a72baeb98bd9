"""Suites as data: tables, and the tasks, data sets and protocols that fill their columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.suite.protocols import protocol_path
from benchmarks.suite.release_0_1 import with_tables
from umt.data.folder import SCHEME
from umt.declarations import build, read_mapping, refuse_fields
from umt.errors import DeclarationError, unknown_name
from umt.files import below, missing

FOLDER = Path(__file__).parent / "suites"
TABLE_NAME = re.compile(r"(?!(report|compare-paper|protocol-spread)$)[a-z0-9][a-z0-9_-]*(?<!-other-data)")
STUDENT_TABLES = tuple(f"table{number}" for number in range(2, 8))  # of the paper; reports know what they show
COST_TASKS = ("throughput",)  # tasks that measure what a backbone costs, and score no items of a data set
# Fields of a recipe that a suite may change: none that names a backbone or a file, which `--set` lets people do.
CHANGEABLE = re.compile(
    r"(interaction|alignment|views|training)\.\w+|ema|seed|teachers\.\w+\.(objective|kind|feature_loss|summary_loss|weight|size)"
)


@dataclass(frozen=True)
class Column:
    """A measured column: a task on a data set by a protocol, and the metric that the table shows."""

    heading: str
    task: str
    dataset: str
    protocol: str  # a name, or a YAML file
    metric: str
    resolution: int | None = None  # pixels a side, if columns of other resolutions make a curve with it

    @property
    def protocol_name(self) -> str:
        """The name of the protocol in results."""
        return protocol_path(self.task, self.protocol).stem

    @property
    def job(self) -> tuple[str, str, str]:
        """The job that measures it; columns of other metrics may share it."""
        return self.task, self.dataset, self.protocol

    @property
    def measurement(self) -> tuple[str, str, str, str]:
        """The number that it shows, whatever its heading."""
        return self.task, self.dataset, self.protocol_name, self.metric


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
class SuiteTable:
    """A table of a suite: a title and columns, with a row for each backbone.

    Tables 2 to 7 of the paper (`table2`, ...) show students. They have no columns of their own, and say what they need.
    """

    title: str = ""
    about: str = ""  # numbers that it may be compared with, if those of the suite are others
    columns: tuple[Column, ...] = ()
    jobs: tuple[str, ...] = ()  # TASK/DATASET of columns of other tables, with * for any
    heads: bool = False  # true if each head of a checkpoint is evaluated beside it
    students: tuple[StudentRun, ...] = ()  # trained on request
    cka: CkaRun | None = None


@dataclass(frozen=True)
class Suite:
    """Tables, and the measurements that fill their columns; `table1` is the main table."""

    name: str
    source: str  # argument of `load_suite`: its name, or a file
    title: str
    about: str  # numbers that its results may be compared with
    seeds: int
    embedded_data: bool  # true if the package writes its own data when no data root is given
    tables: Mapping[str, SuiteTable]  # by the name of its files
    example: tuple[str, ...] = ()  # backbones that are evaluated if none is named, SPEC or LABEL=SPEC
    example_students: tuple[StudentRun, ...] = ()  # students that are distilled and evaluated before the backbones

    def __post_init__(self) -> None:
        for name, table in self.tables.items():
            _check_table(name, table)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of all tables, each once."""
        return tuple(dict.fromkeys(column for table in self.tables.values() for column in table.columns))

    @property
    def tasks(self) -> set[str]:
        """The names of the tasks that measure its columns."""
        return {column.task for column in self.columns}

    @property
    def bases(self) -> set[str]:
        """The names of the data sets that it reads, without their queries."""
        names = {column.dataset for column in self.columns}
        names |= {table.cka.dataset for table in self.tables.values() if table.cka}
        return {name.partition("?")[0] for name in names}

    @property
    def measured(self) -> tuple[Column, ...]:
        """A column for each kind of job: two metrics of the same job are measured once."""
        jobs = {column.job: column for column in reversed(self.columns)}
        return tuple(jobs.values())[::-1]


def _check_table(name: str, table: SuiteTable) -> None:
    """Raise DeclarationError if a table cannot have its name, or lacks what it shows."""
    if not TABLE_NAME.fullmatch(name):
        raise DeclarationError(
            f"field 'tables': '{name}' cannot name files of a report; take small letters, digits, - and _, "
            "no name that ends in -other-data, and none of report, compare-paper and protocol-spread"
        )
    if name in STUDENT_TABLES and (table.columns or table.title or table.about):
        raise DeclarationError(
            f"field 'tables': '{name}' is a table of the paper, which takes no title, about or columns; "
            "remove them, or rename it"
        )
    if name not in STUDENT_TABLES and not (table.columns and table.title):
        raise DeclarationError(f"field 'tables': '{name}' needs a title and columns")


def suite_names() -> list[str]:
    """List the suites that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_suite(name: str) -> Suite:
    """Read `suites/<name>.yaml`, or a YAML file given by its path; files that it names lie beside it.

    A suite is called after its file, because its name decides where results go.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else FOLDER / f"{name}.yaml"
    if missing(path):
        raise unknown_name("suite", name, suite_names())
    record = read_mapping(path)
    refuse_fields(record, ("name", "source"), path, "a suite is called after its file")
    suite = build(
        Suite, {**with_tables(_with_shared_tables(record, path), path), "name": path.stem, "source": name}, path
    )
    tables = {
        key: replace(table, columns=_beside(path, table.columns), students=_with_recipes(path, table.students))
        for key, table in suite.tables.items()
    }
    return replace(suite, tables=tables, example_students=_with_recipes(path, suite.example_students))


def _with_shared_tables(record: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return the record of a suite with the tables of shipped suites that it names as `SUITE/TABLE`."""
    tables = record.get("tables")
    if not isinstance(tables, dict):
        return dict(record)
    shared = {name: _shared_table(value, path) for name, value in tables.items() if isinstance(value, str)}
    return {**record, "tables": {**tables, **shared}}


def _shared_table(reference: str, path: Path) -> Any:
    suite, _, table = reference.partition("/")
    if suite not in suite_names():
        raise unknown_name(f"suite of a table in {path}", suite, suite_names())
    tables = read_mapping(FOLDER / f"{suite}.yaml").get("tables", {})
    if table not in tables:
        raise unknown_name(f"table of suite '{suite}' in {path}", table, tables)
    return tables[table]


def _beside(suite: Path, columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns with protocols and data sets that are paths by their full path; jobs may run elsewhere."""
    return tuple(
        replace(column, protocol=_file_beside(suite, column.protocol), dataset=_folder_beside(suite, column.dataset))
        for column in columns
    )


def _folder_beside(suite: Path, dataset: str) -> str:
    """Return `folder:PATH` by its full path, which is relative to the suite's folder; any other name as it is."""
    scheme, _, path = dataset.partition(":")
    return f"{scheme}:{(suite.parent / Path(path).expanduser()).absolute()}" if scheme == SCHEME else dataset


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
