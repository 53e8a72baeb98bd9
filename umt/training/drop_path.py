"""Stochastic depth for a backbone that was built without it."""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import nn

# Names of the place in timm's blocks; it holds nothing while the rate is zero.
PLACES = ("drop_path", "drop_path1", "drop_path2")
EMPTY = (nn.Identity, DropPath, type(None))


def set_drop_path(model: nn.Module, rate: float) -> int:
    """Drop the residual branches of the blocks at a rate that rises linearly from 0 to `rate` (Huang et al. 2016).

    Returns the number of blocks with a module for it: 0 for architectures without stochastic depth.
    """
    found = [(module, places) for module in model.modules() if (places := _places(module))]
    for (block, places), probability in zip(found, torch.linspace(0, rate, len(found)).tolist(), strict=True):
        for place in places:
            setattr(block, place, DropPath(probability))
    return len(found)


def _places(module: nn.Module) -> list[str]:
    return [place for place in PLACES if hasattr(module, place) and isinstance(getattr(module, place), EMPTY)]
