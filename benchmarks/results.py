"""The Result contract and the store: one JSON file a job, written atomically the moment the job ends."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from umt.declarations import build, read_json
from umt.errors import ResultError, UMTError
from umt.files import atomic_file, below, component, visible_entries
from umt.text import brief

if TYPE_CHECKING:
    import numpy as np

SCHEMA = 2
INTERVAL = "interval"  # a field of the details: 95% of the first metric over the test images, low and high
CHECKSUM = "crc32"  # the field of a file that holds the checksum of the others
MAX_BYTES = 8 << 20  # largest result file; a file with a thousand classes has some 50 kB
TRAINING = re.compile(r"(?P<name>.+) seed (?P<seed>\d{1,6})")
REMEDY = "delete it and run the job again"


def split_training(label: str) -> tuple[str, int | None]:
    """Split the label of a training, `NAME seed N`, into its recipe and seed; None for a label of another form."""
    parts = TRAINING.fullmatch(label)
    return (parts["name"], int(parts["seed"])) if parts else (label, None)


def job_title(backbone: str, task: str, dataset: str, protocol: str, seed: int) -> str:
    """Return the job's name for people."""
    return f"{backbone} · {task} · {dataset} · {protocol} · seed {seed}"


@dataclass(frozen=True, slots=True)
class Key:
    """The identity of a result; two runs with equal keys must give the same numbers."""

    backbone: str  # label of the table row
    weights_hash: str  # SHA-256 of the weights
    task: str
    dataset: str
    protocol: str
    protocol_hash: str
    data_fingerprint: str
    seed: int

    @property
    def title(self) -> str:
        """The job's name for people."""
        return job_title(self.backbone, self.task, self.dataset, self.protocol, self.seed)

    @property
    def digest(self) -> str:
        """A short hash of all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def stem(self) -> str:
        """The path of the result below the store, without suffix; readable, and unique by the digest."""
        job = f"{self.task}--{self.dataset}--{self.protocol}--seed{self.seed}--{self.digest}"
        return f"{component(self.backbone)}/{component(job)}"


@dataclass(frozen=True, slots=True)
class Data:
    """The data set a result was measured on."""

    title: str  # name in a table: "ADE20K", or "rooms"
    origin: str  # the real and the rendered parts; empty for data that declares no origin
    official: bool  # the complete official set, so that the number may stand beside published ones
    sizes: Mapping[str, int]  # items in each split that was read
    root: str  # folder of the data set


@dataclass(frozen=True, slots=True)
class Environment:
    """The circumstances of a run."""

    commit: str | None  # git commit of this code, None outside a checkout
    dirty: bool | None  # true if that checkout had uncommitted changes
    packages: Mapping[str, str]  # versions of torch, timm, mmseg, ...
    device: str
    python: str
    started: str  # ISO 8601, UTC


@dataclass(frozen=True, slots=True)
class Result:
    """A finished job."""

    key: Key
    spec: str  # the text that names the backbone
    architecture: str  # "resnet50", also for a checkpoint of a resnet50
    suite: str
    protocol_version: int
    metrics: Mapping[str, float]
    units: Mapping[str, str]  # unit of each metric
    lower_is_better: Sequence[str]  # metrics for which lower is better
    data: Data
    environment: Environment
    wall_seconds: float  # time of the task itself, loading the backbone included
    global_batch: int | None = None  # images an optimiser step, None if nothing is trained by gradient
    peak_memory_mb: float | None = None  # memory of the process (CPU) or the device
    footnote: str | None = None  # note that a table must print about this protocol
    details: Mapping[str, Any] = field(default_factory=dict)  # chosen penalty, per-class values, notes
    provenance: Mapping[str, Any] = field(default_factory=dict)  # training of the backbone, as recorded in its file
    raw: str | None = None  # name of an .npz beside the JSON: per-image values
    pictures: Sequence[str] = field(default_factory=list)  # names of .png files beside the JSON, for people
    schema: int = SCHEMA


class OtherVersionError(UMTError):
    """A result file of another version of this program: intact, and not to be overwritten."""


# A result, with the raw values and the pictures that `ResultStore.write` puts beside it.
Measured: TypeAlias = "tuple[Result, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]"


class ResultStore:
    """All results below one folder. Files appear complete or not at all, so a reader never sees half a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: Key) -> Path:
        """Return the file of a job; UMTError if its folder is a link that leads out of the store."""
        folder, name = os.path.split(f"{key.stem}.json")
        return below(self.folder, folder) / name

    def has(self, key: Key) -> bool:
        """Check if the job has a result; a damaged file counts as none, and the job will write it anew.

        Raises UMTError if the result is of another version, or if the job's folder leads out of the store.
        """
        path = self.path(key)
        try:
            return path.is_file() and read_result(path).key == key
        except OtherVersionError:
            raise
        except UMTError:
            return False

    def write(
        self,
        result: Result,
        raw: Mapping[str, np.ndarray] | None = None,
        pictures: Mapping[str, np.ndarray] | None = None,
    ) -> Path:
        """Store a result; raw arrays and pictures land first, so that a result never points at a missing file.

        pictures: RGB bytes [H, W, 3] by name.
        """
        path = self.path(result.key)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = asdict(result)
        if raw:
            record["raw"] = path.with_suffix(".npz").name
            import numpy as np  # a report reads the store, and takes less time than this import

            with atomic_file(path.with_suffix(".npz")) as handle:
                np.savez_compressed(handle, allow_pickle=False, **raw)
        if pictures:
            record["pictures"] = [_write_picture(path, name, pixels) for name, pixels in pictures.items()]
        with atomic_file(path) as handle:
            handle.write(result_bytes(record))
        return path

    def read(self, key: Key) -> Result:
        return read_result(self.path(key))

    def __iter__(self) -> Iterator[Result]:
        """Yield all results in order of path; a file that cannot be read raises UMTError."""
        for path in self.paths():
            yield read_result(path)

    def paths(self) -> list[Path]:
        """Return the paths of result files, in order: all files in the store's folders with such a name, and all links.

        Links are not followed, so that `read_result` refuses them.
        """
        if not self.folder.is_dir():
            return []
        entries = visible_entries(self.folder)
        return [path for entry in entries for path in ([Path(entry)] if entry.is_symlink() else _files(entry))]


def _files(entry: os.DirEntry[str]) -> list[Path]:
    """Return the result files in a folder of the store; the folder itself if it cannot be listed."""
    folder = Path(entry)
    try:
        if not entry.is_dir(follow_symlinks=False):
            return []
        return [folder / entry_file.name for entry_file in visible_entries(entry) if entry_file.name.endswith(".json")]
    except OSError:
        return [folder]


def read_result(path: Path) -> Result:
    """Read one result file; UMTError names the file and the field that is wrong."""
    try:
        record = read_json(path, "a result file", REMEDY, links=False, max_bytes=MAX_BYTES)
    except OSError as error:
        raise ResultError(f"{path}: cannot be read ({error.strerror}); {REMEDY}") from error
    if record.get("schema") != SCHEMA:
        shown = brief(record.get("schema"))
        older = isinstance(record.get("schema"), int) and record["schema"] < SCHEMA
        remedy = "run its job again into another folder" if older else "update umt-bench"
        raise OtherVersionError(f"{path}: schema {shown}, this version reads {SCHEMA}; {remedy}")
    written = record.pop(CHECKSUM, None)
    if written is not None and written != _checksum(record):  # older files have no checksum
        raise ResultError(f"{path}: its content does not match its checksum; {REMEDY}")
    try:
        return build(Result, record, path)
    except UMTError as error:
        raise ResultError(f"{str(error).rstrip('.')}; {REMEDY}") from error


def result_bytes(record: Mapping[str, Any]) -> bytes:
    """Return the file of a result's fields: JSON, with the checksum behind them."""
    plain = json.loads(json.dumps(record, allow_nan=False))
    return json.dumps({**plain, CHECKSUM: _checksum(plain)}, indent=1).encode()


def _checksum(record: Mapping[str, Any]) -> int:
    """Compute the CRC-32 of a plain record as JSON, independent of the order of its fields."""
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())


def _write_picture(result: Path, name: str, pixels: np.ndarray) -> str:
    """Write a PNG beside the file of a result; return its name."""
    path = result.with_name(f"{component(f'{result.stem}--{name}')}.png")
    from PIL import Image

    with atomic_file(path) as handle:
        Image.fromarray(pixels).save(handle, format="PNG")
    return path.name
