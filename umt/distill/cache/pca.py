"""Targets as principal components of 8 bits: a basis for each target of a teacher, fitted once for a cache."""

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

PCA8 = "pca8"  # the format's name in options and keys
BASES_FILE = "pca.safetensors"
MAX_BYTES = 1 << 31  # of that file
PARTS = ("mean", "components", "scale")
LARGEST = 127  # code
STEEPEST = 4  # a component's codes reach at least to so small a share of the largest value
SMALLER = 6  # times than fp16
LEAST_SHARE = 0.25  # of a map's components, also where vectors leave no room for them in a sixth
HELD_OUT = 8  # one view in so many is not fitted on, but measures the error

Extent = tuple[int, int]  # channels, and cells of a map; 1 cell for a vector


@dataclass(frozen=True)
class Basis:
    """A mean [C], orthonormal components [K, C], and the step [K] between two codes of each component."""

    mean: Tensor
    components: Tensor
    scale: Tensor

    def __post_init__(self) -> None:
        tensors = (self.mean, self.components, self.scale)
        mean, components, scale = (tuple(values.shape) for values in tensors)
        if (*scale, *mean) != components or len(scale) != 1:
            raise CacheError(f"mean, components and scale have the shapes {mean}, {components} and {scale}")
        if not all(values.dtype == torch.float32 and values.isfinite().all() for values in tensors):
            raise CacheError("mean, components or scale hold values that are no finite float32")

    @classmethod
    def fit(cls, vectors: Tensor, count: int) -> Basis:
        """Fit so many components of vectors [N, C], in float64, and steps by which 8 bits reach all their values."""
        mean = vectors.double().mean(dim=0)
        centred = vectors.double() - mean
        components = torch.linalg.eigh(centred.T @ centred).eigenvectors.flip(1)[:, :count].T
        reach = (centred @ components.T).abs().amax(dim=0)
        smallest = reach.max().clamp_min(torch.finfo(torch.float32).eps) / STEEPEST
        return cls(mean.float(), components.float().contiguous(), (reach.clamp_min(smallest) / LARGEST).float())

    def to(self, device: torch.device) -> Basis:
        return Basis(self.mean.to(device), self.components.to(device), self.scale.to(device))

    def encode(self, values: Tensor) -> Tensor:
        """Return the codes int8 [B, K, ...] of values [B, C, ...]."""
        with torch.autocast(values.device.type, enabled=False):
            centred = values.float().movedim(1, -1) - self.mean
            codes = (centred @ self.components.T / self.scale).round().clamp(-LARGEST, LARGEST)
        return codes.to(torch.int8).movedim(-1, 1).contiguous()

    def decode(self, codes: Tensor) -> Tensor:
        """Return values fp16 [B, C, ...] of codes int8 [B, K, ...]; CacheError for codes of another basis."""
        if codes.dtype != torch.int8 or codes.shape[1:2] != self.scale.shape:
            raise CacheError(f"codes {codes.dtype} {tuple(codes.shape)} are not of {len(self.scale)} components")
        cells = codes.reshape(*codes.shape[:2], -1).float()
        values = self._spread @ cells + self.mean[:, None]
        return values.half().view(len(codes), -1, *codes.shape[2:])

    def error(self, vectors: Tensor) -> float:
        """Return the squared error of vectors [N, C] that were coded, over their variance."""
        wrong = self.decode(self.encode(vectors)).float() - vectors
        variance = (vectors - vectors.mean(dim=0)).square().sum()
        return float(wrong.square().sum() / variance.clamp_min(torch.finfo(torch.float32).eps))

    @cached_property
    def _spread(self) -> Tensor:
        """The components [C, K] in units of their codes."""
        return (self.components * self.scale[:, None]).T.contiguous()


Bases = Mapping[str, Basis]  # by the name of a tensor in a shard; without a basis it holds fp16 values


@dataclass(frozen=True)
class PcaRecord:
    """The hash of a file of bases, and each one's error on views that it was not fitted on (`Basis.error`)."""

    sha256: str
    errors: Mapping[str, float]


def component_counts(extents: Mapping[str, Extent], overhead: int) -> dict[str, int]:
    """Return the components of each tensor of a view, so that all take a sixth of fp16, `overhead` bytes included.

    Vectors keep all components: few hold them badly, and beside maps they are small. A view of large vectors and small
    maps takes more than a sixth.
    """
    values = {name: width * cells for name, (width, cells) in extents.items()}
    vectors = sum(values[name] for name, (_, cells) in extents.items() if cells == 1)
    budget = (2 * sum(values.values()) + overhead) // SMALLER - overhead
    share = max(LEAST_SHARE, (budget - vectors) / max(1, sum(values.values()) - vectors))
    return {name: width if cells == 1 else max(1, int(width * share)) for name, (width, cells) in extents.items()}


def fit_bases(samples: Mapping[str, Tensor], counts: Mapping[str, int]) -> tuple[dict[str, Basis], dict[str, float]]:
    """Fit a basis to each sample [views, vectors, C], and measure its error on views that were held out."""
    bases: dict[str, Basis] = {}
    errors: dict[str, float] = {}
    for name, sample in samples.items():
        if not sample.isfinite().all():
            raise CacheError(
                f"'{name}': the teacher gives values that are not finite; leave it out of the cache's recipe"
            )
        is_tested = torch.arange(len(sample)) % HELD_OUT == HELD_OUT - 1
        bases[name] = Basis.fit(sample[~is_tested].flatten(0, 1), counts[name])
        errors[name] = bases[name].error(sample[is_tested if is_tested.any() else ~is_tested].flatten(0, 1))
    return bases, errors


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
