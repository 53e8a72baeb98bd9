"""Monocular depth on NYUv2: a head on any Backbone, trained and tested through MMSegmentation."""

from __future__ import annotations

import mmseg_configs  # noqa: F401  (registers the backbone and the image loader)
from depth.bins import LinearBinsHead, TokenBinsHead
from depth.head import DPTDepthHead
from depth.loading import LoadCheckedDepth
from depth.losses import MaskedSiLog, SigLoss
from depth.metric import PerImageDepth
from depth.transforms import AdaBinsColor, BenchmarkCrop, BorderCrop, RandomColor
from depth.windows import WindowedDepthEstimator

__all__ = [
    "AdaBinsColor",
    "BenchmarkCrop",
    "BorderCrop",
    "DPTDepthHead",
    "LinearBinsHead",
    "LoadCheckedDepth",
    "MaskedSiLog",
    "PerImageDepth",
    "RandomColor",
    "SigLoss",
    "TokenBinsHead",
    "WindowedDepthEstimator",
]
