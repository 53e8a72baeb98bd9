"""Files of weights, known by their content: opened whole, without running anything in them."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import UntypedStorage

from umt.backbones.containers.pickles import unpickle
from umt.backbones.weights import read_head, reading, refuse_damaged_zip
from umt.errors import WeightsError
from umt.files import open_plain, utf8_name

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
ALIGNMENT_BYTES = 16  # bytes that any number begins at a multiple of
HEAD_BYTES = 512  # bytes that tell what a file is
MAX_HEADER_BYTES = 100 << 20  # bytes of a safetensors header, as its authors limit it
# First bytes of files that hold no weights of torch, with the name of the format and the remedy.
OTHER_FORMATS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself; fetch it with: git lfs pull"),
    (b"<!doctype html", "is an HTML page, not weights; download the file itself"),
    (b"<html", "is an HTML page, not weights; download the file itself"),
    (b"\x89hdf", "is an HDF5 file, as of Keras; export its weights as safetensors"),
    (b"\x1f\x8b", "is compressed by gzip; unpack it"),
    (b"\x28\xb5\x2f\xfd", "is compressed by zstd; unpack it"),
    (b"gguf", "is a GGUF file of quantised weights; name the original weights"),
    (b"\x89png", "is a picture"),
    (b"\xff\xd8\xff", "is a picture"),
    (b"%pdf", "is a PDF document"),
)


@dataclass(frozen=True)
class Container:
    """The content of a file or folder of weights, and the plain facts beside them."""

    path: Path
    kind: str
    content: Any
    facts: Mapping[str, Any] = field(default_factory=dict)  # by the name of the file that says them


def open_file(path: Path) -> Container:
    """Open a file of weights by its content, not its name; UMTError says what it is instead, or what is wrong."""
    head = read_head(path, HEAD_BYTES)
    with reading(path):
        kind, read = _kind(path, head)
        with utf8_name(path) as name:
            return Container(path, kind, read(name))


def _kind(path: Path, head: bytes) -> tuple[str, Callable[[Path], Any]]:
    for start, description in OTHER_FORMATS:
        if head.lower().startswith(start):
            raise WeightsError(f"{path}: {description}")
    if head[257:262] == b"ustar":
        raise WeightsError(f"{path}: is a tar archive; unpack it and name the weight file inside")
    if _is_onnx(head):
        raise WeightsError(
            f"{path}: is an ONNX graph, whose weights have lost their names; name the PyTorch checkpoint"
        )
    if head.startswith(b"PK"):
        return _zip_kind(path)
    if len(head) > 8 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < MAX_HEADER_BYTES:
        return "safetensors", load_file
    if head.startswith(b"\x80"):
        return "pickle", _read_pickles
    raise ValueError("its first bytes are those of no format of weights")


def _is_onnx(head: bytes) -> bool:
    """Return whether a protobuf message begins with a version of ONNX and the name of a producer."""
    return len(head) > 3 and head[0] == 0x08 and head[1] < 32 and head[2] in (0x12, 0x3A, 0x1A, 0x42)


def _zip_kind(path: Path) -> tuple[str, Callable[[Path], Any]]:
    with open_plain(path, links=True) as file, zipfile.ZipFile(file) as archive:
        names = archive.namelist()
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy archive (.npz)", _read_npz
    if not _pickled(names):
        raise WeightsError(f"{path}: is a zip archive without weights of torch; unpack it and name the file inside")
    script = any(name.endswith("constants.pkl") for name in names)
    return "TorchScript archive (its state alone)" if script else "torch zip", _read_zip


def _read_npz(path: Path) -> dict[str, Any]:
    refuse_damaged_zip(path)
    with open_plain(path, links=True) as file, np.load(file, allow_pickle=False) as archive:
        return {name: torch.from_numpy(np.array(archive[name])) for name in archive.files}


def _read_zip(path: Path) -> Any:
    refuse_damaged_zip(path)
    with open_plain(path, links=True) as file:
        return open_zip(file, _mapped(path))


def open_zip(file: IO[bytes], archive_bytes: UntypedStorage) -> Any:
    """Read the value of a torch zip or TorchScript archive, whose bytes are in `archive_bytes`, too."""
    with zipfile.ZipFile(file) as archive:
        entry = _pickled(archive.namelist())
        starts = {info.filename: (_start(archive_bytes, info), info.file_size) for info in archive.infolist()}
        content = BytesIO(archive.read(entry))
    folder = entry.removesuffix("data.pkl")

    def storage(key: str, size: int) -> UntypedStorage:
        start, stored_bytes = starts.get(f"{folder}data/{key}", (0, -1))
        if stored_bytes != size:
            raise ValueError(f"storage {key[:40]} has not the {size:,} bytes that it is said to have")
        return _piece(archive_bytes, start, size)

    return unpickle(content, storage)


def _pickled(names: list[str]) -> str:
    return next((name for name in names if name == "data.pkl" or name.endswith("/data.pkl")), "")


def _mapped(path: Path) -> UntypedStorage:
    """Map a file into memory, so that only what is used is read; its pages are private to this process."""
    mapped = UntypedStorage.from_file(str(path), False, path.stat().st_size)
    assert isinstance(mapped, UntypedStorage)
    return mapped


def _start(archive_bytes: UntypedStorage, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of an entry begin: behind its own header, whose length differs from the directory's."""
    head = bytes(archive_bytes[info.header_offset : info.header_offset + 30])
    name, extra = struct.unpack("<HH", head[26:30])
    return info.header_offset + 30 + int(name) + int(extra)


def _piece(archive_bytes: UntypedStorage, start: int, size: int) -> UntypedStorage:
    """Return a view of some bytes; or a copy, if numbers would be off their boundaries, where they are slow."""
    piece = archive_bytes[start : start + size]
    aligned = piece if start % ALIGNMENT_BYTES == 0 else UntypedStorage(size).copy_(piece, non_blocking=False)
    assert isinstance(aligned, UntypedStorage)
    return aligned


def _read_pickles(path: Path) -> Any:
    """Read torch's format before 1.6, a row of pickles with the storages behind them; or a single pickle."""
    with open_plain(path, links=True) as file:
        first = unpickle(file, _no_storage)
        if first != LEGACY_MAGIC:
            return first
        for _ in range(2):  # the version of the format, and the sizes of the machine's integers
            unpickle(file, _no_storage)
        storages = LegacyStorages(path.stat().st_size)
        content = unpickle(file, storages.make)
        storages.fill(file, unpickle(file, _no_storage))
        return content


class LegacyStorages:
    """Storages of an old torch file: named by the pickle first, filled from the bytes behind it."""

    def __init__(self, max_bytes: int) -> None:
        self._bytes_left = max_bytes  # bytes that the file can hold
        self._storages: dict[str, UntypedStorage] = {}

    def make(self, key: str, size: int) -> UntypedStorage:
        if key not in self._storages:
            self._bytes_left -= size
            if self._bytes_left < 0:
                raise ValueError("its storages are larger than the file")
            self._storages[key] = UntypedStorage(size)
        if self._storages[key].nbytes() != size:
            raise ValueError(f"storage {key[:40]} has two sizes")
        return self._storages[key]

    def fill(self, file: IO[bytes], keys: Any) -> None:
        for key in keys:
            storage = self._storages[str(key)]
            (count,) = struct.unpack("<q", file.read(8))
            content = file.read(storage.nbytes())
            if len(content) != storage.nbytes() or count < 0:
                raise ValueError(f"storage {str(key)[:40]} is cut off")
            if content:
                storage.copy_(torch.frombuffer(bytearray(content), dtype=torch.uint8).untyped_storage())


def _no_storage(key: str, size: int) -> UntypedStorage:
    raise ValueError("its tensors lie outside of it")
