"""Tables that may leave this machine: no folders in them, and on request nothing that names people."""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.frame import result_rows
from reports.building.table import Cell, Private, Row, Table
from reports.results.measurement import Measurement

# A path from the root, from a home folder or upwards, up to its last part: in quotes it may hold blanks.
START = r"(?:file://)?(?:~[^\s/'\"]*|\.\.)?"
QUOTED = re.compile(rf"(?P<quote>['\"])(?P<before>[^'\"/~]*?){START}/(?:[^'\"]*/)?(?P<last>[^/'\"]*)/?(?P=quote)")
PLAIN = re.compile(rf"(?<![^\s=:'\"(\[,]){START}/(?:[^\s/=,;'\"()\[\]<>|]+/)*(?P<last>[^\s/=,;'\"()\[\]<>|]+)/?")
SPEC = re.compile(rf"(?:(?<=[:=])|^){START}/[^?#=]*/(?=[^/])")  # of a name of a backbone, which may hold blanks
OWNERS = re.compile(r"(?:/(?:home|Users)/|^(?:hf|hf-hub|hub|timm:hf-hub|open_clip:hf-hub):)([^/]+)/")
MIN_NAME = 3  # letters of a name that is looked for in labels


def without_folders(text: str) -> str:
    """Return text in which a path that leads out of the current folder is reduced to its last part."""
    return PLAIN.sub(r"…/\g<last>", QUOTED.sub(r"\g<quote>\g<before>…/\g<last>\g<quote>", text))


def spec_without_folders(spec: str) -> str:
    """Return the text that names a backbone without the folders of its files."""
    return SPEC.sub("…/", spec)


def shareable(table: Table) -> Table:
    """Return the table without the folders of this machine."""
    return _rewritten(table, without_folders)


@dataclass(frozen=True)
class Anonymiser:
    """Names of people and machines, and the labels of backbones in their place."""

    names: re.Pattern[str]
    labels: Mapping[str, str]

    def table(self, table: Table) -> Table:
        """Return the table without names, commits, commands and files."""
        return _rewritten(table, self.text, self.labels, public=True)

    def label(self, name: str) -> str:
        """Return the name of a backbone in place of one that names somebody."""
        return self.labels.get(name) or self.text(name)

    def text(self, text: str) -> str:
        """Return text without folders and names."""
        return self.names.sub("…", without_folders(text))


def anonymiser(tables: Iterable[Table], measurements: Iterable[Measurement]) -> Anonymiser:
    """Return what hides the names of the user, of the machine and of folders' owners; their backbones get numbers."""
    names = re.compile(_alternatives({*_names_here(), *_owners(measurements)}), re.IGNORECASE)
    labels = dict.fromkeys(row.labels[0] for table in tables for row in table.measured_rows)
    naming = [label for label in labels if names.search(label)]
    return Anonymiser(names, {label: f"Model {number}" for number, label in enumerate(naming, 1)})


def shared_rows(measurement: Measurement, folder: Path, hidden: Anonymiser | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a measurement in a tidy table; paths are those below the folder of the run."""
    path, run = measurement.path.absolute(), folder.absolute()
    near = path.relative_to(run) if run in path.parents else Path(path.name)
    for row in result_rows(near, measurement.result):
        if hidden:
            yield {
                **row,
                "backbone": hidden.label(row["backbone"]),
                "spec": "",
                "path": "",
                "dataset": hidden.text(row["dataset"]),
            }
        else:
            names = {name: spec_without_folders(row[name]) for name in ("spec", "dataset")}
            yield {**row, **names}


def _names_here() -> Iterator[str]:
    """Yield the names of the user and of the machine, as the system knows them."""
    yield from (Path.home().name, platform.node().partition(".")[0])
    with suppress(KeyError, OSError, ImportError):
        import pwd

        yield getpass.getuser()
        yield from pwd.getpwnam(getpass.getuser()).pw_gecos.partition(",")[0].split()


def _owners(measurements: Iterable[Measurement]) -> Iterator[str]:
    """Yield the owners of the folders and of the hub's models that results name."""
    for measurement in measurements:
        for text in (measurement.result.spec, measurement.result.data.root):
            yield from OWNERS.findall(text)


def _alternatives(names: Iterable[str]) -> str:
    """Return a pattern for whole names; digits and signs may follow them."""
    escaped = sorted(re.escape(name) for name in names if len(name) >= MIN_NAME)
    return rf"(?<![^\W_])(?:{'|'.join(escaped)})(?![^\W\d_])" if escaped else r"(?!)"


def _rewritten(
    table: Table, change: Callable[[str], str], labels: Mapping[str, str] | None = None, *, public: bool = False
) -> Table:
    """Return the table with all its texts changed, and rows that `labels` names under another label."""
    groups = tuple(
        replace(
            group, title=change(group.title), rows=tuple(_row(row, change, labels or {}, public) for row in group.rows)
        )
        for group in table.groups
    )
    return replace(
        table,
        title=change(table.title),
        caption=change(table.caption),
        columns=tuple(replace(column, heading=change(column.heading)) for column in table.columns),
        groups=groups,
        notes=tuple(map(change, table.notes)),
        legend=tuple(map(change, table.legend)),
    )


def _row(row: Row, change: Callable[[str], str], labels: Mapping[str, str], public: bool) -> Row:
    first, *rest = row.labels
    shared_labels = (labels.get(first) or change(first), *map(change, rest))
    return replace(row, labels=shared_labels, cells=tuple(_cell(cell, change, public) for cell in row.cells))


def _cell(cell: Cell, change: Callable[[str], str], public: bool) -> Cell:
    explain = partial(_lines, cell.explain, change, public)
    return replace(cell, explain=explain, files=() if public else cell.files)


def _lines(explain: Callable[[], Iterable[str]], change: Callable[[str], str], public: bool) -> Sequence[str]:
    return [change(line) for line in explain() if not (public and isinstance(line, Private))]
