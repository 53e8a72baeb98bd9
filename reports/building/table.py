"""The content of a table, apart from its building and its writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from reports.building.metrics import ShownMetric
from reports.results.quoted import MEASURED

DASH = "–"


class Private(str):
    """A line of a provenance that names a commit, a command or a file."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number as shown, as measured, and its provenance; without value it is a dash."""

    text: str = DASH
    value: float | None = None
    std: float | None = None  # sample standard deviation, from two runs on
    runs: int = 0
    best: bool = False
    explain: Callable[[], Iterable[str]] = field(default=tuple, compare=False)
    files: tuple[Path, ...] = ()  # the results behind it
    estimate: Callable[[], tuple[float, float] | None] = field(default=lambda: None, compare=False)

    @property
    def provenance(self) -> tuple[str, ...]:
        """The origin of the number, line by line; computed on request, because few cells of long tables need it."""
        return tuple(self.explain())

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of the number, None if it has none; computed on request."""
        return self.estimate()


@dataclass(frozen=True)
class TableColumn:
    """Heading of a column of numbers, and their metric."""

    heading: str
    metric: ShownMetric

    @property
    def measure(self) -> str:
        """Second line of the heading: "mIoU (%) ↑"."""
        unit = f" ({self.metric.unit})" if self.metric.unit else ""
        return f"{self.metric.label}{unit} {'↑' if self.metric.higher_is_better else '↓'}".strip()


def cell_words(cell: Cell, column: TableColumn) -> str:
    """Return a number with its unit and interval, for people: "81.2 %, 95% interval 80.0 to 82.1"."""
    metric, interval = column.metric, cell.interval
    between = (
        f", 95% interval {interval[0]:.{metric.decimals}f} to {interval[1]:.{metric.decimals}f}" if interval else ""
    )
    return f"{cell.text}{f' {metric.unit}' if metric.unit and cell.value is not None else ''}{between}"


@dataclass(frozen=True)
class Row:
    """A model: its name and other labels, then its numbers."""

    labels: tuple[str, ...]
    cells: tuple[Cell, ...]
    source: str = MEASURED  # for published numbers a short name of their source
    mark: str = ""  # footnote mark behind the name

    @property
    def quoted(self) -> bool:
        """True if the numbers are published ones, which nobody measured here."""
        return self.source != MEASURED

    @property
    def name(self) -> str:
        """The name with all labels that tell it from the other rows."""
        return f"{self.labels[0]}{f' ({self.source})' if self.quoted else ''}{self.mark}"


@dataclass(frozen=True)
class Group:
    """Rows that compete with each other; no title if it is the only group."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Table:
    """A finished table, ready for any writer; `name` is the stem of its files."""

    name: str
    title: str
    caption: str
    number: str  # "Table 1" as the paper numbers it, empty for a table that the paper does not have
    label_headings: tuple[str, ...]  # of `Row.labels`
    columns: tuple[TableColumn, ...]  # of `Row.cells`
    groups: tuple[Group, ...]
    notes: tuple[str, ...]
    legend: tuple[str, ...] = ()  # the data behind short titles, a line for each

    @property
    def heading(self) -> str:
        """Number and title."""
        return f"{self.number}: {self.title}" if self.number else self.title

    @property
    def measured_rows(self) -> list[Row]:
        """The rows that were measured."""
        return [row for group in self.groups for row in group.rows if not row.quoted]
