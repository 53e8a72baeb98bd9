"""Spaces of a batch in parts whose activations are computed again for the gradient, so that few are held at a time."""

from __future__ import annotations

from torch import Tensor, cat, nn
from torch.utils.checkpoint import checkpoint

from umt.backbones.contract import Features
from umt.distill.spaces.shapes import SpaceFeatures


def spaces_in_parts(spaces: nn.Module, features: Features, parts: int) -> dict[str, SpaceFeatures]:
    """Compute every space of a batch by name, part by part; the same as at once, but for the rounding of products."""
    size = -(-len(features.maps[-1]) // parts)
    computed = [checkpoint(spaces, part, use_reentrant=False) for part in _split(features, size)]
    return {name: _joined([part[name] for part in computed]) for name in computed[0]}


def _split(features: Features, size: int) -> list[Features]:
    """Return the last map and the global features of each part."""
    maps, pooled = features.maps[-1].split(size), features.pooled.split(size)
    cls = [None] * len(maps) if features.cls is None else features.cls.split(size)
    return [Features(vector, token, [fmap]) for vector, token, fmap in zip(pooled, cls, maps, strict=True)]


def _joined(parts: list[SpaceFeatures]) -> SpaceFeatures:
    return SpaceFeatures(
        _cat([part.summary for part in parts]), cat([part.fmap for part in parts]), _cat([part.cls for part in parts])
    )


def _cat(values: list[Tensor | None]) -> Tensor | None:
    tensors = [value for value in values if value is not None]
    return cat(tensors) if tensors else None
