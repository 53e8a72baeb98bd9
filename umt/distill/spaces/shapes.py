"""The student's output in each representational space, its targets, and their shapes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from umt.backbones.contract import Backbone
from umt.errors import SizeError

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

    @classmethod
    def of(cls, student: Backbone) -> StudentShape:
        return cls(student.channels[-1], student.dim, student.has_cls)


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
