"""Targets as principal components of few bits: a basis for each target of a teacher, fitted once for a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor

from umt.errors import CacheError, first_line
from umt.files import atomic_file, read_plain

PCA = "pca"  # the format's name in options and keys
BASES_FILE = "pca.safetensors"
MAX_BYTES = 1 << 31  # of that file
PARTS = ("mean", "components", "step", "bits")
MAX_BITS = 8


@dataclass(frozen=True)
class Basis:
    """A mean [C], and K orthonormal components [K, C] with the step [K] and the bits uint8 [K] of their codes.

    The components with most bits are first. A vector takes `width` bytes: the highest bit of all components, then the
    second one of those that have two, and so on.
    """

    mean: Tensor
    components: Tensor
    step: Tensor
    bits: Tensor

    def __post_init__(self) -> None:
        tensors = (self.mean, self.components, self.step)
        mean, components, step = (tuple(values.shape) for values in tensors)
        if (*step, *mean) != components or len(step) != 1 or tuple(self.bits.shape) != step:
            shapes = ", ".join(str(tuple(getattr(self, part).shape)) for part in PARTS)
            raise CacheError(f"{', '.join(PARTS)} have the shapes {shapes}")
        if not all(values.dtype == torch.float32 and values.isfinite().all() for values in tensors):
            raise CacheError("mean, components or step hold values that are no finite float32")
        bits = self.bits.tolist()
        if self.bits.dtype != torch.uint8 or not set(bits) <= {*range(1, MAX_BITS + 1)} or sum(bits) % 8:
            raise CacheError(f"bits are not numbers from 1 to {MAX_BITS} that fill bytes")
        if bits != sorted(bits, reverse=True):
            raise CacheError("bits do not fall")

    @property
    def width(self) -> int:
        """The bytes of a vector's codes."""
        return int(self.bits.sum()) // 8

    def to(self, device: torch.device) -> Basis:
        return Basis(*(getattr(self, part).to(device) for part in PARTS))

    def encode(self, values: Tensor) -> Tensor:
        """Return the codes uint8 [B, ..., width] of values [B, C, ...]."""
        with torch.autocast(values.device.type, enabled=False):
            centred = values.float().movedim(1, -1) - self.mean
            levels = centred @ self.components.T / self.step + self._middle
        largest = 2 * self._middle - 1
        codes = levels.floor().clamp(min=torch.zeros_like(largest), max=largest).to(torch.uint8)
        planes = [
            codes[..., :count] >> (self.bits[:count] - 1 - plane) & 1 for plane, count in enumerate(self._plane_counts)
        ]
        in_bytes = torch.cat(planes, dim=-1).unflatten(-1, (self.width, 8))
        return (in_bytes << self._shifts).sum(dim=-1, dtype=torch.uint8)

    def decode(self, codes: Tensor) -> Tensor:
        """Return values fp16 [B, C, ...] of codes uint8 [B, ..., width]; CacheError for codes of another basis."""
        if codes.dtype != torch.uint8 or codes.shape[-1] != self.width:
            raise CacheError(f"codes {codes.dtype} {tuple(codes.shape)} are not of {self.width} bytes")
        planes = (codes[..., None] >> self._shifts & 1).flatten(-2).split(self._plane_counts, dim=-1)
        levels = torch.zeros(*codes.shape[:-1], len(self.bits), dtype=torch.uint8, device=codes.device)
        for plane in planes:
            started = levels[..., : plane.shape[-1]]
            started.mul_(2).add_(plane)
        values = (levels - self._middle + 0.5) @ self._spread + self.mean
        return values.half().movedim(-1, 1).contiguous()

    def error(self, vectors: Tensor) -> float:
        """Return the squared error of vectors [N, C] that were coded, over their variance."""
        wrong = self.decode(self.encode(vectors)).float() - vectors
        variance = (vectors - vectors.mean(dim=0)).square().sum()
        return float(wrong.square().sum() / variance.clamp_min(torch.finfo(torch.float32).eps))

    @cached_property
    def _middle(self) -> Tensor:
        """Half of the number of codes of each component [K]."""
        return torch.exp2(self.bits.float() - 1)

    @cached_property
    def _spread(self) -> Tensor:
        """The components [K, C] in units of their codes."""
        return self.components * self.step[:, None]

    @cached_property
    def _plane_counts(self) -> list[int]:
        """The components that have a first bit, a second one, and so on."""
        return [int((self.bits > plane).sum()) for plane in range(MAX_BITS)]

    @cached_property
    def _shifts(self) -> Tensor:
        return torch.arange(7, -1, -1, dtype=torch.uint8, device=self.bits.device)


Bases = Mapping[str, Basis]  # by the name of a tensor in a shard; without a basis it holds fp16 values


@dataclass(frozen=True)
class PcaRecord:
    """The hash of a file of bases, and each one's error on views that it was not fitted on (`Basis.error`)."""

    sha256: str
    errors: Mapping[str, float]


def write_bases(folder: Path, bases: Bases) -> str:
    """Write the file of a cache's bases, and return its hash."""
    content = save({f"{name}.{part}": getattr(basis, part) for name, basis in bases.items() for part in PARTS})
    with atomic_file(folder / BASES_FILE) as handle:
        handle.write(content)
    return hashlib.sha256(content).hexdigest()


def read_bases(folder: Path, record: PcaRecord, widths: Mapping[str, int]) -> dict[str, Basis]:
    """Read the bases of tensors with these channels; CacheError if their file is missing or not the cache's own."""
    path = folder / BASES_FILE
    try:
        content = read_plain(path, max_bytes=MAX_BYTES)
        if hashlib.sha256(content).hexdigest() != record.sha256:
            raise ValueError("it is damaged, or of another cache")
        tensors = load(content)
        bases = {name: Basis(*(tensors[f"{name}.{part}"] for part in PARTS)) for name in widths}
        for name, basis in bases.items():
            if len(basis.mean) != widths[name]:
                raise ValueError(f"'{name}' has {len(basis.mean)} channels, not {widths[name]}")
    except Exception as error:  # safetensors raises its own errors, the system others
        raise CacheError(
            f"{path}: cannot be read ({first_line(error)}); no target can be read without it: remove {folder} and make "
            "the cache again"
        ) from error
    return bases
