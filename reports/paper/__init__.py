"""The paper's own numbers: tables 1 to 7 of "Unified Multi-Teacher Distillation across Hybrid Neural Architectures"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reports.results.quoted import QuotedTable, read_quoted

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Family:
    """A group of rows: the paper's names of its architectures, and a pattern over the architectures of ours."""

    title: str
    published: tuple[str, ...]
    architectures: str

    def holds(self, architecture: str) -> bool:
        """Return True if a backbone of that architecture belongs to this group."""
        return re.match(self.architectures, architecture) is not None


FAMILIES = (
    Family("ResNet-50", ("ResNet-50",), r"(resnet50|RN50)$"),
    Family("ConvNeXt-B", ("ConvNeXt-B",), r"convnext_base$"),
    Family("ViT-B", ("ViT-B/16", "ViT-B/14", "RADIOv2.5-B"), r"(vit|deit|deit3)_base_patch|ViT-B-"),
    Family("ViT-L", ("ViT-L/16", "ViT-L/14", "RADIOv2.5-L"), r"(vit|deit3)_large_patch|ViT-L-"),
)


@cache
def paper_table(number: int) -> QuotedTable:
    """Return a table of the paper, 1 to 7: the first has the columns of the paper suite, the others are of students."""
    return read_quoted(FOLDER / f"table{number}.yaml")
