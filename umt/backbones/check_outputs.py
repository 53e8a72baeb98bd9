"""Outputs of a backbone by name, compared with the declarations or with another run."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from umt.backbones.contract import Backbone, Features

TOLERANCE = 1e-4  # share of the largest value: above the float32 noise of another order of summation


def misshapen(features: Features, backbone: Backbone, images: Tensor) -> str | None:
    """Return a sentence on the first output that has another shape than the backbone declares for these images."""
    shapes, outputs = _declared(backbone, images), outputs_by_name(features)
    for name, shape in shapes.items():
        if name not in outputs:
            return f"{name} is declared, but not given"
        if outputs[name].shape != shape:
            return f"{name} is {tuple(outputs[name].shape)}, but {shape} follows from the declarations"
    extra = outputs.keys() - shapes.keys()
    return f"{min(extra)} is given, but not declared" if extra else None


def _declared(backbone: Backbone, images: Tensor) -> dict[str, tuple[int, ...]]:
    batch, _, height, width = images.shape
    shapes: dict[str, tuple[int, ...]] = {"pooled": (batch, backbone.dim)}
    for index, (channels, stride) in enumerate(zip(backbone.channels, backbone.strides, strict=True)):
        shapes[f"maps[{index}]"] = (batch, channels, height // stride, width // stride)
    if backbone.has_cls and backbone.channels:
        shapes["cls"] = (batch, backbone.channels[-1])
        shapes |= {f"map_cls[{index}]": (batch, channels) for index, channels in enumerate(backbone.channels)}
    return shapes


def outputs_by_name(features: Features) -> dict[str, Tensor]:
    """Return every tensor of the features by name: pooled, cls, maps[0], map_cls[0], ..."""
    outputs = {"pooled": features.pooled} | {f"maps[{index}]": fmap for index, fmap in enumerate(features.maps)}
    if features.cls is not None:
        outputs["cls"] = features.cls
    return outputs | {f"map_cls[{index}]": token for index, token in enumerate(features.map_cls or ())}


def picked(features: Features, maps: Sequence[int]) -> Features:
    """Return the features that the selection `maps` should give."""
    tokens = None if features.map_cls is None else [features.map_cls[index] for index in maps]
    return Features(features.pooled, features.cls, [features.maps[index] for index in maps], tokens)


def first(features: Features) -> Features:
    """Return the features of the first image."""
    cls = None if features.cls is None else features.cls[:1]
    return Features(features.pooled[:1], cls, [fmap[:1] for fmap in features.maps])


def difference(left: Features, right: Features) -> str | None:
    """Return the first output that is missing on one side or differs in shape or values."""
    ours, theirs = outputs_by_name(left), outputs_by_name(right)
    for name in ours.keys() | theirs.keys():
        if name not in ours or name not in theirs or not _close(ours[name], theirs[name]):
            return name
    return None


def _close(left: Tensor, right: Tensor) -> bool:
    if left.shape != right.shape:
        return False
    scale = float(left.nan_to_num(posinf=0, neginf=0).abs().max())
    return torch.allclose(left, right, rtol=0, atol=TOLERANCE * scale + 1e-12, equal_nan=True)
