"""The student's output in each representational space, its targets, and their shapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from umt.backbones.contract import Backbone, Features
from umt.errors import DeclarationError, SizeError

Grid = tuple[int, int]  # rows and columns of a feature map


@dataclass(frozen=True)
class SpaceShape:
    """A space and the widths of its teacher's global target and features."""

    name: str
    summary: int
    features: int


@dataclass(frozen=True)
class StudentShape:
    """The student's properties that decide its spaces: widths of its last map and of its pooled feature."""

    width: int
    pooled: int
    has_cls: bool
    widths: tuple[int, ...] = ()  # of all maps; files of earlier versions, which use the last alone, have none

    @classmethod
    def of(cls, student: Backbone) -> StudentShape:
        return cls(student.channels[-1], student.dim, student.has_cls, student.channels)

    def width_of(self, index: int) -> int:
        """Return the width of a map, counted from the last one; DeclarationError if there is none."""
        if index == -1:
            return self.width
        check_map("interaction.maps", index, len(self.widths))
        return self.widths[index]


def check_map(field: str, index: int, maps: int) -> None:
    """Raise DeclarationError if a student with so many maps has none of that number, counted from the last one."""
    if not -maps <= index < 0:
        raise DeclarationError(f"{field}: the student has no map {index}; take -1, its last, to {-maps}, its first")


def needed_maps(indices: Iterable[int]) -> tuple[int, ...]:
    """Return the maps that spaces are made of and the last one, shallow to deep."""
    return tuple(sorted({*indices, -1}))


def from_end(maps: Sequence[int], index: int) -> int:
    """Return the position of a map among those that a student returns, counted from the end."""
    return list(maps).index(index) - len(maps)


def token_of(features: Features, position: int) -> Tensor | None:
    """Return the class token [B, C] beside a map at a position from the end; None if the student has none."""
    if position == -1 or features.map_cls is None:
        return features.cls
    return features.map_cls[position]


def resampled(fmap: Tensor, grid: Grid) -> Tensor:
    """Resample [B, C, h, w] -> [B, C, *grid]; bilinear, and antialiased if it shrinks."""
    if fmap.shape[2:] == grid:
        return fmap
    return F.interpolate(fmap.float(), grid, mode="bilinear", antialias=True)


def check_size(field: str, pixels: int, student: Backbone) -> None:
    """Raise SizeError if the student cannot see views of so many pixels."""
    multiple = student.preprocess.size_multiple
    if pixels < multiple or pixels % multiple:
        nearest = max(1, round(pixels / multiple)) * multiple
        raise SizeError(f"{field} {pixels} is not a multiple of {multiple}, which the student needs; take {nearest}")


@dataclass(frozen=True)
class SpaceFeatures:
    """A batch in one space, in the teacher's widths.

    summary: compared with the teacher's global target [B, D], None without a model token. fmap: [B, C, H, W]. cls: the
    student's class token in this space [B, C], None if it has none.
    """

    summary: Tensor | None
    fmap: Tensor
    cls: Tensor | None


@dataclass(frozen=True)
class Targets:
    """Targets of one teacher: `summary` [B, D] for the model token, `features` [B, C] or [B, C, H, W]."""

    summary: Tensor
    features: Tensor
