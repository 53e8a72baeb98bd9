"""A shard of a cache: tensors in safetensors, read row by row, each row with its own checksum."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from umt.errors import CacheError, first_line
from umt.files import open_plain

SUMS = ".crc32"  # suffix of a tensor's name for its checksums
SUM_BYTES = 8  # bytes of a checksum
AGAIN = "remove it if it is there, and run the same `umt teachers cache` again, which makes what is missing"


def shard_bytes(tensors: Mapping[str, Tensor], mark: str) -> bytes:
    """Return the file of a shard of these tensors [rows, ...], which carries the mark of its cache."""
    sums = {f"{name}{SUMS}": torch.tensor([_crc32(row) for row in tensor]) for name, tensor in tensors.items()}
    return save({**tensors, **sums}, metadata={"mark": mark})


class Shard:
    """An open shard; UMTError for a file that is missing, truncated or of another cache, and for a damaged row."""

    def __init__(self, path: Path, mark: str) -> None:
        self.path = path
        try:
            with open_plain(path):  # safetensors itself would follow a link, and wait for a pipe
                opened = safe_open(path, framework="pt")
            if (opened.metadata() or {}).get("mark") != mark:
                raise ValueError("it belongs to another cache")
            self.tensors = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118
        except Exception as error:  # safetensors raises its own errors, the system others
            raise CacheError(f"{path}: cannot be read ({first_line(error)}); {AGAIN}") from error

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def row(self, name: str, index: int) -> Tensor:
        """Read a full row of a tensor."""
        try:
            row: Tensor = self.tensors[name][index]
            written = int(self.tensors[f"{name}{SUMS}"][index])
        except Exception as error:  # there is no such tensor or row
            raise CacheError(f"{self.path}: has no row {index} of '{name}' ({first_line(error)}); {AGAIN}") from error
        if _crc32(row) != written:
            raise CacheError(f"{self.path}: row {index} of '{name}' is damaged, its checksum is another; {AGAIN}")
        return row


def _crc32(row: Tensor) -> int:
    return zlib.crc32(row.reshape(-1).view(torch.uint8).numpy().data)
