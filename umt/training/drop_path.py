"""Stochastic depth for a backbone that was built without it."""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import nn

# Names of the place in timm's blocks; it holds nothing while the rate is zero.
ATTRIBUTES = ("drop_path", "drop_path1", "drop_path2")
EMPTY_TYPES = (nn.Identity, DropPath, type(None))


def set_drop_path(model: nn.Module, rate: float) -> int:
    """Drop the residual branches of the blocks at a rate that rises linearly from 0 to `rate` (Huang et al. 2016).

    Returns the number of blocks with a module for it: 0 for architectures without stochastic depth.
    """
    blocks = [(module, names) for module in model.modules() if (names := _attributes(module))]
    for (block, names), probability in zip(blocks, torch.linspace(0, rate, len(blocks)).tolist(), strict=True):
        for name in names:
            setattr(block, name, DropPath(probability))
    return len(blocks)


def _attributes(module: nn.Module) -> list[str]:
    return [name for name in ATTRIBUTES if hasattr(module, name) and isinstance(getattr(module, name), EMPTY_TYPES)]
