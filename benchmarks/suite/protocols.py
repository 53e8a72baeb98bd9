"""Protocols: every choice that changes a number, as data, versioned and hashed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from benchmarks.suite.release_0_1 import with_new_names
from umt.declarations import build, read_mapping, refuse_fields
from umt.errors import DeclarationError, unknown_name
from umt.files import below, missing

FOLDER = Path(__file__).parents[1] / "tasks" / "protocols"
Settings = TypeVar("Settings")


@dataclass(frozen=True)
class ProtocolHeader:
    """The fields of a protocol file beside the settings of its task."""

    version: int
    about: str
    extends: str | None = None
    footnote: str | None = None


HEADER = {item.name for item in fields(ProtocolHeader)}


@dataclass(frozen=True)
class Protocol(Generic[Settings]):
    """A named set of choices for one task; `settings` is the task's own frozen dataclass."""

    task: str
    name: str
    version: int  # bumped whenever its numbers change
    about: str  # a sentence: the origin of this protocol
    settings: Settings
    footnote: str | None = None  # note that a table must print about its numbers

    @property
    def hash(self) -> str:
        """The twelve hex digits over task, version and the settings: equal hash, comparable numbers.

        A setting counts if it differs from its default, so that a new optional one leaves old results valid.
        """
        content = [self.task, self.version, _changed_settings(self.settings)]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def load_protocol(task: str, name: str, settings: type[Settings], folder: Path = FOLDER) -> Protocol[Settings]:
    """Read `protocols/<task>/<name>.yaml` (or `name` itself if it is a YAML file) into the task's settings."""
    path = protocol_path(task, name, folder)
    record = _resolve(path, task, folder)
    refuse_fields(
        record, ("draw",), path, "a draw is a variant of the data set, caltech101?draw=published in the suite"
    )
    header = _header(record, path)
    values = build(settings, {key: value for key, value in record.items() if key not in HEADER}, path)
    return Protocol(task, path.stem, header.version, header.about, values, header.footnote)


def protocol_record(task: str, name: str) -> dict[str, Any]:
    """Return the fields of a protocol file over those that it extends."""
    return _resolve(protocol_path(task, name), task, FOLDER)


def _changed_settings(settings: Any) -> dict[str, Any]:
    """Return the settings that have no default or differ from it."""
    values = asdict(settings)
    return {
        item.name: values[item.name]
        for item in fields(settings)
        if item.default is MISSING or getattr(settings, item.name) != item.default
    }


def protocol_path(task: str, name: str, folder: Path = FOLDER) -> Path:
    """Return the file of a protocol that is given by its name, or by the file itself."""
    return Path(name) if name.endswith((".yaml", ".yml")) else below(folder, task, f"{name}.yaml")


def protocol_names(task: str, folder: Path = FOLDER) -> list[str]:
    """List the protocols that ship for a task."""
    return sorted(path.stem for path in (folder / task).glob("*.yaml"))


def _resolve(path: Path, task: str, folder: Path, children: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the record of a protocol file over those that it extends; `children` are the files that led here."""
    if missing(path):
        name = path.stem if path.parent == folder / task else str(path)
        raise unknown_name(f"protocol for {task}", name, protocol_names(task, folder))
    if path in children:
        raise DeclarationError(f"{path}: field 'extends' leads back to the protocol itself; name another")
    record = with_new_names(read_mapping(path), task, path)
    extended = _header(record, path).extends
    if extended is None:
        return record
    beside = below(path.parent, extended) if extended.endswith((".yaml", ".yml")) else None
    source, _, name = extended.rpartition("/")  # a task, if it is not this one
    shipped = protocol_path(source or task, name, folder)
    parent = _resolve(beside or shipped, task if beside else source or task, folder, (*children, path))
    return {**{key: value for key, value in parent.items() if key != "footnote"}, **record}


def _header(record: dict[str, Any], path: Path) -> ProtocolHeader:
    return build(ProtocolHeader, {key: value for key, value in record.items() if key in HEADER}, path)
