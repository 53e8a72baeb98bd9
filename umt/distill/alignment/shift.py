"""Shifts of the student's view against the teachers' (C-RADIOv4, Ranzinger et al. 2026, equation 1).

A teacher has patterns that stay at their places when the image moves. If the student sees the image moved by whole
cells, and cells that show the same place are compared, it can learn only the part that moves with the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Shift:
    """Cells by which the student's view lies further down and further right in the image than the teachers'."""

    down: int = 0
    right: int = 0

    @classmethod
    def draw(cls, largest: int) -> Shift:
        """Draw both from -largest to largest, for a batch."""
        down, right = torch.randint(-largest, largest + 1, (2,)).tolist() if largest else (0, 0)
        return cls(down, right)

    def move(self, images: Tensor, stride: int) -> Tensor:
        """Move views [B, 3, R, R]; beyond the border the image is mirrored."""
        if self == Shift():
            return images
        down, right = self.down * stride, self.right * stride
        sides = (max(-right, 0), max(right, 0), max(-down, 0), max(down, 0))
        padded = F.pad(images, sides, mode="reflect")
        top, left = max(down, 0), max(right, 0)
        moved = padded[..., top : top + images.shape[2], left : left + images.shape[3]]
        return moved.contiguous(memory_format=torch.channels_last)

    def common(self, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
        """Return the cells [B, C, h, w] of both maps [B, C, H, W] that show the same place of the image."""
        if self == Shift():
            return student, teacher
        return (
            student[..., _first(self.down, student.shape[2]), _first(self.right, student.shape[3])],
            teacher[..., _first(-self.down, teacher.shape[2]), _first(-self.right, teacher.shape[3])],
        )


def _first(shift: int, cells: int) -> slice:
    """Return the cells of a map whose view begins `shift` cells later than the other's that both have."""
    return slice(max(-shift, 0), cells - max(shift, 0))
