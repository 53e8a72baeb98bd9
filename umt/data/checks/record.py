"""The record of a data set below a data root: the files it was made from, and its last successful check."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from umt.declarations import build, read_json
from umt.errors import LayoutError, UMTError, WriteError
from umt.files import atomic_file, component

FOLDER = ".umt-data"  # below the data root, beside the sets and never inside them


@dataclass(frozen=True)
class Record:
    """The files that each folder was made of, and the outcome of the last `umt data verify` that found no problem."""

    prepared: dict = field(default_factory=dict)  # {"imagenet/val": ["ILSVRC2012_img_val.tar", ...]}
    verified: str = ""  # day, ISO 8601
    title: str = ""
    fingerprint: str = ""
    checksums: dict = field(default_factory=dict)  # SHA-256 of the sample that was read, by path below the set's folder


def record_path(data_root: Path, name: str) -> Path:
    return data_root / FOLDER / component(f"{name}.json")


def read_record(data_root: Path, name: str) -> Record:
    """Read the record of a set; return an empty one if there is none."""
    path = record_path(data_root, name)
    if not path.is_file():
        return Record()
    try:
        return build(Record, read_json(path, "a JSON object", "remove it"), path)
    except UMTError as error:
        raise LayoutError(f"{path}: not a record of a data set ({error}); remove it") from error


def write_record(data_root: Path, name: str, record: Record) -> None:
    """Write the record of a set; WriteError if its folder cannot be written."""
    path = record_path(data_root, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path.parent}: cannot be written ({error.strerror}); let this user write there") from error
    with atomic_file(path) as file:
        file.write(json.dumps(asdict(record), indent=1).encode())
