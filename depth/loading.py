"""Load depth maps in an mmseg pipeline; errors name the bad file, also in the middle of training."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmseg_configs.loading import read_annotation
from umt.data.checks.items import MILLIMETRES
from umt.errors import DataError


@TRANSFORMS.register_module()
class LoadCheckedDepth(BaseTransform):
    """`gt_depth_map`: float32 [H, W] in metres from a 16-bit PNG, `scale` a metre; outside (min, max) it is 0, invalid.

    far: what is outside is valid as well, as in published training code; there must still be truth inside.
    `depth_rescale_factor` makes mmseg's RandomDepthMix paste (0, max_depth) as grey values 0..255, or up to the largest
    depth if that is more. Published code pastes millimetres into bytes, where they overflow.
    """

    def __init__(self, min_depth: float, max_depth: float, far: bool = False, scale: float = MILLIMETRES) -> None:
        self.min_depth, self.max_depth, self.far, self.scale = min_depth, max_depth, far, scale

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        path = results["depth_map_path"]
        values = read_annotation(results, "depth_map_path")
        if values.dtype.itemsize < 2:
            raise DataError(
                f"{path}: depth of {8 * values.dtype.itemsize} bit, expected a 16-bit PNG, {self.scale:g} a metre; "
                "convert it"
            )
        depth = values.astype(np.float32) / np.float32(self.scale)
        inside = (depth > self.min_depth) & (depth < self.max_depth)
        if not inside.any():
            raise DataError(
                f"{path}: no pixel between {self.min_depth} and {self.max_depth} m; remove it and its image"
            )
        results["gt_depth_map"] = depth = depth if self.far else np.where(inside, depth, np.float32(0))
        results["depth_rescale_factor"] = max(self.max_depth, float(depth.max())) / 255.0
        results["seg_fields"].append("gt_depth_map")
        return results
