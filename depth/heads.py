"""The depth heads by name: the maps that each reads of a backbone, and its configuration for mmseg."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from depth.levels import QUARTERS, dpt_levels
from depth.losses import LOSSES, SigLoss
from umt.backbones import Backbone

BINS = 256  # DINOv2's and DINOv3's


class HeadSettings(Protocol):
    """The settings of the protocol that a head needs, see `depth.nyuv2.NYUSettings`."""

    @property
    def loss(self) -> str: ...
    @property
    def loss_images(self) -> int | None: ...
    @property
    def accumulation(self) -> int: ...
    @property
    def min_depth(self) -> float: ...
    @property
    def max_depth(self) -> float: ...
    @property
    def dropout(self) -> float: ...
    @property
    def channels(self) -> int: ...
    @property
    def post_process_channels(self) -> tuple[int, int, int, int]: ...


def dpt_config(settings: HeadSettings, backbone: Backbone, *, bounded: bool) -> dict[str, Any]:
    """Return the configuration of a DPT head on four maps with their summary tokens."""
    levels = dpt_levels(backbone.strides)
    return {
        "backbone": {"out_indices": levels, "with_cls": True},
        "decode_head": {
            **_shared(settings),
            "type": "DPTDepthHead",
            "in_channels": [backbone.channels[level] for level in levels],
            "strides": [backbone.strides[level] for level in levels],
            "channels": settings.channels,
            "post_process_channels": settings.post_process_channels,
            "bounded": bounded,
        },
    }


def bins_config(settings: HeadSettings, backbone: Backbone) -> dict[str, Any]:
    """Return the configuration of a linear head on the last map; it ignores `channels` and `post_process_channels`."""
    head = {**_shared(settings), "type": "LinearBinsHead", "in_channels": backbone.channels[-1], "bins": BINS}
    return {"backbone": {"out_indices": (backbone.depth - 1,)}, "decode_head": head}


def token_bins_config(settings: HeadSettings, backbone: Backbone, *, four: bool) -> dict[str, Any]:
    """Return the configuration of a linear head on the last map, or on four maps, with their summary tokens."""
    levels = dpt_levels(backbone.strides, QUARTERS) if four else (backbone.depth - 1,)
    channels = [backbone.channels[level] for level in levels]
    head = {**_shared(settings), "type": "TokenBinsHead", "in_channels": channels, "bins": BINS}
    return {"backbone": {"out_indices": levels, "with_cls": True}, "decode_head": head}


def _shared(settings: HeadSettings) -> dict[str, Any]:
    options = {"images": settings.loss_images, "warmup": SigLoss.WARMUP * settings.accumulation}
    return {
        "min_depth": settings.min_depth,
        "max_depth": settings.max_depth,
        "dropout_ratio": settings.dropout,
        "loss_decode": {"type": LOSSES[settings.loss], **(options if settings.loss == "sig" else {})},
    }


HEADS: dict[str, Callable[..., dict[str, Any]]] = {
    "dpt": partial(dpt_config, bounded=True),
    "dpt_raw": partial(dpt_config, bounded=False),
    "bins": bins_config,
    "token_bins": partial(token_bins_config, four=False),
    "token_bins4": partial(token_bins_config, four=True),
}
