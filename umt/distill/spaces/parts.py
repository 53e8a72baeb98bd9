"""Spaces of a batch in parts whose activations are computed again for the gradient, so that few are held at a time."""

from __future__ import annotations

from torch import Tensor, cat, nn
from torch.utils.checkpoint import checkpoint

from umt.backbones.contract import Features
from umt.distill.spaces.shapes import SpaceFeatures


def spaces_in_parts(spaces: nn.Module, features: Features, parts: int) -> dict[str, SpaceFeatures]:
    """Compute every space of a batch by name, part by part; the same as at once, but for the rounding of products."""
    size = -(-len(features.pooled) // parts)
    computed = [checkpoint(spaces, part, use_reentrant=False) for part in _split(features, size)]
    return {name: _joined([part[name] for part in computed]) for name in computed[0]}


def _split(features: Features, size: int) -> list[Features]:
    """Return the features of each part."""
    return [_cut(features, slice(start, start + size)) for start in range(0, len(features.pooled), size)]


def _cut(features: Features, part: slice) -> Features:
    cls, tokens = features.cls, features.map_cls
    return Features(
        features.pooled[part],
        None if cls is None else cls[part],
        [fmap[part] for fmap in features.maps],
        None if tokens is None else [token[part] for token in tokens],
    )


def _joined(parts: list[SpaceFeatures]) -> SpaceFeatures:
    return SpaceFeatures(
        _cat([part.summary for part in parts]), cat([part.fmap for part in parts]), _cat([part.cls for part in parts])
    )


def _cat(values: list[Tensor | None]) -> Tensor | None:
    tensors = [value for value in values if value is not None]
    return cat(tensors) if tensors else None
