"""Published numbers that nobody measured here: a table of a paper in one declared form, beside a result store."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import click
import yaml

from reports.results.measurement import MAX_VALUE
from umt.declarations import build, read_mapping
from umt.errors import DeclarationError, UMTError, first_line, unknown_name
from umt.files import below, read_plain, visible_entries
from umt.text import brief

FOLDER = "quoted"  # beside the folder of results
MEASURED = "measured"  # the source of rows that are no quotation
MAX_BYTES = 4 << 20
FORM = "docs/hub.md has the form"


@dataclass(frozen=True)
class QuotedColumn:
    """The measurement of this suite that a published column may stand beside."""

    task: str
    dataset: str
    protocol: str
    metric: str

    @property
    def measurement(self) -> tuple[str, str, str, str]:
        """The number that it shows, as columns of suites name it."""
        return self.task, self.dataset, self.protocol, self.metric


@dataclass(frozen=True)
class QuotedRow:
    """A row of a published table; `values` are texts, exactly as printed, by the name of their column."""

    model: str
    values: Mapping[str, str]
    architecture: str = ""
    setting: str = ""
    images: str = ""  # of the pre-training
    words: Mapping[str, str] = field(default_factory=dict)  # by the table's further labels
    repeated: bool = False  # true if the source itself repeats a result of the method's authors

    @property
    def labels(self) -> tuple[str, str, str, str]:
        return self.model, self.architecture, self.setting, self.images

    def label(self, name: str) -> str:
        """Return one of the labels or the table's further ones; empty if the source gives none."""
        return self.words.get(name) or (str(getattr(self, name)) if name in LABELS else "")


@dataclass(frozen=True)
class QuotedTable:
    """A published table: its source, its number there, the protocol that the source states, and its rows."""

    source: str
    table: str
    stated: str
    columns: Mapping[str, QuotedColumn]
    rows: tuple[QuotedRow, ...]
    cite: str = "quoted"  # stands in brackets behind the names of its rows
    labels: tuple[str, ...] = ()  # further columns of words
    stands_in: str = ""  # a table of students; else it stands in every table of a suite with such a column

    def __post_init__(self) -> None:
        if self.cite == MEASURED:
            raise DeclarationError(f"field 'cite' is '{MEASURED}', which these numbers are not; name the source")


LABELS = tuple(item.name for item in fields(QuotedRow) if item.name not in ("values", "words", "repeated"))


def read_quoted(path: Path, *, links: bool = False) -> QuotedTable:
    """Read a published table from a YAML file, whose `rows` may be the name of a CSV file beside it.

    links: if the file may be a link. Raises UMTError if a field is missing or wrong, or a value is no number.
    """
    if path.suffix == ".csv":
        raise DeclarationError(
            f"{path}: says not what its columns are; name a YAML file with rows: {path.name}; {FORM}"
        )
    record = read_mapping(path)
    rows = record.get("rows")
    if isinstance(rows, str):
        rows = list(_csv_rows(below(path.parent, rows, links=links), links=links))
    if not isinstance(rows, list) or not rows:
        raise DeclarationError(
            f"{path}: field 'rows' is {brief(rows)}, expected rows or the name of a CSV file; {FORM}"
        )
    columns = record.get("columns")
    if not isinstance(columns, Mapping):
        raise DeclarationError(f"{path}: field 'columns' is {brief(columns)}, expected columns by their name; {FORM}")
    labels = [str(name) for name in record.get("labels") or ()]
    read = [_row(row, columns, labels, f"{path}: row {number}") for number, row in enumerate(rows, 1)]
    return build(QuotedTable, {**record, "rows": [asdict(row) for row in read]}, path)


def quoted_file(table: QuotedTable) -> bytes:
    """Return the YAML file of a published table, with its rows."""
    record = asdict(table)
    rows = [{**_labels(row), **row.words, **row.values} for row in table.rows]
    return yaml.safe_dump(
        {**record, "labels": list(table.labels), "rows": rows}, sort_keys=False, allow_unicode=True, width=1000
    ).encode()


def quoted_beside(store: Path) -> tuple[list[QuotedTable], list[UMTError]]:
    """Read the published tables that were imported beside a result store; return an error for each unreadable file."""
    folder = store.parent / FOLDER
    tables, problems = list[QuotedTable](), list[UMTError]()
    for entry in visible_entries(folder) if folder.is_dir() else []:
        try:
            tables.append(read_quoted(_plain(Path(entry))))
        except UMTError as error:
            problems.append(error)
    return tables, problems


def readable_quoted(store: Path) -> list[QuotedTable]:
    """Read the published tables beside a result store; name each unreadable file on stderr."""
    tables, problems = quoted_beside(store)
    for problem in problems:
        click.echo(f"left out: {problem}", err=True)
    return tables


def _labels(row: QuotedRow) -> dict[str, Any]:
    """Return the fields of a row beside its values that are set."""
    return {name: getattr(row, name) for name in (*LABELS, "repeated") if getattr(row, name)}


def _plain(path: Path) -> Path:
    """Return the path of a file of this form; UMTError for a link, and for a file of another kind."""
    if path.is_symlink() or path.suffix != ".yaml":
        raise DeclarationError(f"{path}: no YAML file of published numbers; take it away, or use `umt results import`")
    return path


def _csv_rows(path: Path, *, links: bool) -> Iterator[Mapping[str, Any]]:
    try:
        text = read_plain(path, links=links, max_bytes=MAX_BYTES).decode("utf-8-sig")
        for row in csv.DictReader(text.splitlines(), strict=True):
            if None in row:
                raise DeclarationError(f"{path}: a row has more cells than the heading; correct it")
            yield row
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read ({error.strerror}); put it beside the YAML file") from error
    except (ValueError, csv.Error) as error:
        raise DeclarationError(f"{path}: no CSV file ({first_line(error)}); save it as CSV in UTF-8") from error


def _row(row: Any, columns: Mapping[Any, Any], more: Sequence[str], source: str) -> QuotedRow:
    """Return a row of labels and values; empty cells are values that the source does not give."""
    if not isinstance(row, Mapping):
        raise DeclarationError(f"{source} is {brief(row)}, expected fields; {FORM}")
    filled = {name: value for name, value in row.items() if value not in ("", None)}
    for name in filled:
        if name not in (*LABELS, *more, "repeated", *columns):
            known = [*LABELS, *more, *map(str, columns)]
            raise DeclarationError(f"{source}: {unknown_name('field', str(name)[:60], known)}")
    labels = {name: str(filled[name]) for name in LABELS if name in filled}
    words = {name: str(filled[name]) for name in more if name in filled}
    values = {str(name): _printed(filled[name], f"{source}: '{name}'") for name in columns if name in filled}
    repeated = str(filled.get("repeated")) in ("yes", "True")
    return build(QuotedRow, {**labels, "values": values, "words": words, "repeated": repeated}, source)


def _printed(value: Any, source: str) -> str:
    """Return a number as printed; UMTError if it is none."""
    try:
        if isinstance(value, bool) or not abs(float(value)) <= MAX_VALUE or math.isnan(float(value)):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise DeclarationError(f"{source} is {brief(value)}, expected a number as printed, without unit") from None
    return str(value).strip()
