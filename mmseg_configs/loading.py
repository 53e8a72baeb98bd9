"""Load images and class maps in an mmseg pipeline; errors name the bad file, also in the middle of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from umt.data.images import decode, decode_rgb
from umt.errors import DataError


@TRANSFORMS.register_module()
class LoadCheckedImage(BaseTransform):
    """`img`: uint8 [H, W, 3] in mmseg's channel order, BGR. EXIF orientation is ignored: annotations do not have it."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = np.asarray(decode_rgb(Path(results["img_path"])))[..., ::-1]
        shape = image.shape[:2]
        return {**results, "img": np.ascontiguousarray(image), "img_shape": shape, "ori_shape": shape}


@TRANSFORMS.register_module()
class LoadCheckedLabels(BaseTransform):
    """`gt_seg_map`: uint8 [H, W] from labels 0..classes; 0 (unlabelled) becomes 255, class k becomes k - 1."""

    def __init__(self, classes: int = 150) -> None:
        self.classes = classes

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        labels = read_annotation(results, "seg_map_path")
        if labels.max() > self.classes:
            raise DataError(
                f"{results['seg_map_path']}: label {labels.max()}, expected 0..{self.classes}; replace the file"
            )
        results["gt_seg_map"] = labels.astype(np.uint8) - np.uint8(1)
        results["seg_fields"].append("gt_seg_map")
        return results


def read_annotation(results: dict[str, Any], field: str) -> np.ndarray:
    """Read the annotation file [H, W] that `field` names; UMTError if it is not one channel as large as the image."""
    path = results[field]
    values = np.asarray(decode(Path(path)))
    if values.shape != results["ori_shape"]:
        shape, expected = "x".join(map(str, values.shape)), "x".join(map(str, results["ori_shape"]))
        raise DataError(
            f"{path}: shape {shape}, its image {Path(results['img_path']).name} has {expected}; replace one of them"
        )
    return values
