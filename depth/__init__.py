"""Monocular depth on NYUv2: a DPT head on any Backbone, trained and tested through MMSegmentation."""

from __future__ import annotations

import mmseg_configs  # noqa: F401  (registers the backbone and the image loader)
from depth.head import DPTDepthHead
from depth.loading import LoadCheckedDepth
from depth.metric import PerImageDepth
from depth.transforms import RandomColor

__all__ = ["DPTDepthHead", "LoadCheckedDepth", "PerImageDepth", "RandomColor"]
