"""Protocols: every choice that changes a number, as data, versioned and hashed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from umt.declarations import build, read_mapping
from umt.errors import DeclarationError, unknown_name

FOLDER = Path(__file__).parent / "protocols"
HEADER = {"version", "about", "extends", "footnote"}
Settings = TypeVar("Settings")


@dataclass(frozen=True)
class Protocol(Generic[Settings]):
    """A named set of choices for one task; `settings` is the task's own frozen dataclass."""

    task: str
    name: str
    version: int  # bumped whenever its numbers change
    about: str  # one sentence: whose protocol this is
    settings: Settings
    footnote: str | None = None  # what a table must say about its numbers

    @property
    def hash(self) -> str:
        """Twelve hex digits over task, version and every setting: equal hash, comparable numbers."""
        content = json.dumps([self.task, self.version, asdict(self.settings)], sort_keys=True)  # type: ignore[call-overload]
        return hashlib.sha256(content.encode()).hexdigest()[:12]


def load_protocol(task: str, name: str, settings: type[Settings], folder: Path = FOLDER) -> Protocol[Settings]:
    """Read `protocols/<task>/<name>.yaml` (or `name` itself where it is a YAML file) into the task's settings."""
    path = protocol_path(task, name, folder)
    record = _resolve(path, task, folder)
    values = {key: value for key, value in record.items() if key not in HEADER}
    return Protocol(
        task, path.stem, int(record["version"]), record["about"], build(settings, values, path), record.get("footnote")
    )


def protocol_path(task: str, name: str, folder: Path = FOLDER) -> Path:
    """File of a protocol that is given by its name, or by the file itself."""
    return Path(name) if name.endswith((".yaml", ".yml")) else folder / task / f"{name}.yaml"


def protocol_names(task: str, folder: Path = FOLDER) -> list[str]:
    """Protocols that ship for a task."""
    return sorted(path.stem for path in (folder / task).glob("*.yaml"))


def _resolve(path: Path, task: str, folder: Path, children: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The record of a protocol file over those that it extends; `children` are the files that led here."""
    if not path.is_file():
        raise unknown_name(f"protocol for {task}", path.stem, protocol_names(task, folder))
    if path in children:
        raise DeclarationError(f"{path}: field 'extends' goes in a circle; a protocol extends itself")
    record = read_mapping(path)
    if not {"version", "about"} <= record.keys():
        raise DeclarationError(f"{path}: a protocol is a mapping with at least 'version' and 'about'")
    if "extends" not in record:
        return record
    parent = _resolve(protocol_path(task, record["extends"], folder), task, folder, (*children, path))
    return {**{key: value for key, value in parent.items() if key != "footnote"}, **record}
