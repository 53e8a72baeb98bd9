"""The paper's own numbers: tables 1 to 7 of "Unified Multi-Teacher Distillation across Hybrid Neural Architectures"."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Family:
    """A group of rows: the paper's names of its architectures, and a pattern over the architectures of ours."""

    title: str
    published: tuple[str, ...]
    architectures: str

    def holds(self, architecture: str) -> bool:
        """Return True if a backbone of that architecture belongs to this group."""
        return re.match(self.architectures, architecture) is not None


@dataclass(frozen=True)
class Published:
    """A table of the paper and its match with measured columns: (task, data set, protocol, metric) -> CSV field."""

    number: int
    labels: Mapping[str, str]  # heading -> CSV field; the first is the name of the row
    family: str  # CSV field that tells the group
    columns: Mapping[tuple[str, str, str, str], str]
    quoted: str  # CSV field that is set if the paper itself repeats an official result


FAMILIES = (
    Family("ResNet-50", ("ResNet-50",), r"(resnet50|RN50)$"),
    Family("ConvNeXt-B", ("ConvNeXt-B",), r"convnext_base$"),
    Family("ViT-B", ("ViT-B/16", "ViT-B/14", "RADIOv2.5-B"), r"(vit|deit|deit3)_base_patch|ViT-B-"),
    Family("ViT-L", ("ViT-L/16", "ViT-L/14", "RADIOv2.5-L"), r"(vit|deit3)_large_patch|ViT-L-"),
)

TABLE1 = Published(
    number=1,
    labels={
        "Method": "method",
        "Architecture": "student_arch",
        "Setting": "setting",
        "Images": "pretrain_images",
    },
    family="student_arch",
    columns={
        ("imagenet_finetune", "imagenet", "paper", "top1"): "imagenet_top1",
        ("finegrained_finetune", "aircraft", "paper", "accuracy"): "aircraft_acc",
        ("finegrained_finetune", "caltech101", "paper", "accuracy"): "caltech101_acc",
        ("finegrained_finetune", "cub", "paper", "accuracy"): "cub_acc",
        ("ade20k_linear", "ade20k", "paper", "miou"): "ade20k_miou",
        ("nyuv2_depth", "nyuv2", "paper", "rmse"): "nyuv2_rmse",
    },
    quoted="official_result",
)


def published_table(number: int) -> list[dict[str, str]]:
    """Return the rows of table 1 to 7 as printed; an empty text is a value that the paper does not give."""
    with (Path(__file__).parent / f"table{number}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
