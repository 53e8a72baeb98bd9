"""The key of a cache entry: everything that decides the values of features."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import PIL
import timm
import torch

from umt.backbones.contract import Backbone
from umt.data.contract import Sample, boxes_of, pairs_of
from umt.data.image_list import ImageList
from umt.feature_cache.disk_cache import plain_key
from umt.features import Extraction, part_of

NAME_DIGITS = 32  # hex digits in the names of entries and in their fingerprints
SCHEMA = 1  # version of keys and files; another number makes all entries new


def feature_key(
    backbone: Backbone, samples: Sequence[Sample], extraction: Extraction, device: torch.device
) -> dict[str, Any]:
    """Return plain values; if they are equal, the features are equal.

    The spec and the code are among them, because equal weights can be pooled in several ways.
    """
    exact = replace(
        extraction,
        what=part_of(backbone, extraction).name,
        crop_pct=extraction.crop_pct or backbone.preprocess.crop_pct,
    )
    key = {
        "schema": SCHEMA,
        "spec": backbone.spec,
        "weights": backbone.weights_hash(),
        "code": _code_hash(backbone),
        "preprocess": asdict(backbone.preprocess),
        "extraction": asdict(exact),
        "images": _images(samples),
        "device": device.type,
        "versions": {"torch": torch.__version__, "timm": timm.__version__, "pillow": PIL.__version__},
    }
    return plain_key(key)


def _images(samples: Sequence[Sample]) -> dict[str, Any]:
    """Return the count of images, a hash of their files, and their boxes if they have some."""
    boxes = boxes_of(samples)
    return {
        "count": len(samples),
        "fingerprint": images_fingerprint([path for path, _ in pairs_of(samples)]),
        **({} if boxes is None else {"boxes": hashlib.sha256(boxes.tobytes()).hexdigest()[:NAME_DIGITS]}),
    }


def images_fingerprint(paths: Sequence[Path | str]) -> str:
    """Hash sizes and names below the common folder, in order: data that moved as a whole keeps its fingerprint."""
    return ImageList.of_paths(paths, "").digest[:NAME_DIGITS]


def _code_hash(backbone: Backbone) -> str:
    """Hash the file of the backbone's class, because a plug-in changes while it is written; empty without a file."""
    try:
        return hashlib.sha256(Path(inspect.getfile(type(backbone))).read_bytes()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""
