"""ReaL (Beyer et al. 2020): ImageNet's validation images with all labels that people found; timm brings the list."""

from __future__ import annotations

import json
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from umt.data.contract import Sample
from umt.data.sets import imagenet
from umt.errors import DataError

NAME = re.compile(r"ILSVRC2012_val_(\d{8})\.\w+")


@cache
def _labels() -> list[list[int]]:
    """Return the labels of each validation image, in the order of their names."""
    labels: list[list[int]] = json.loads(pkgutil.get_data("timm.data", "_info/imagenet_real_labels.json") or b"[]")
    return labels


def answers(samples: Sequence[Sample]) -> list[frozenset[int]]:
    """Return the classes that are right for each image, none if people found none; UMTError for another name."""
    labels = []
    for sample in samples:
        name = NAME.fullmatch(sample.image.name)
        number = int(name[1]) if name else 0
        if not 0 < number <= len(_labels()):
            raise DataError(f"{sample.image}: ReaL has labels for ILSVRC2012_val_00000001 to 00050000; keep the names")
        labels.append(frozenset(_labels()[number - 1]))
    return labels


INFO = replace(
    imagenet.INFO,
    name="imagenet_real",
    title="ImageNet ReaL",
    answers=answers,
    prompts=(),
    mini=None,
)
