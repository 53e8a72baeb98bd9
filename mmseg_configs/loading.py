"""Load images and class maps in an mmseg pipeline; errors name the bad file, also in the middle of training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from umt.data.images import decode, decode_rgb
from umt.data.targets.labels import Labels
from umt.errors import DataError

ADE20K_LABELS = Labels.after_zero(150)


@TRANSFORMS.register_module()
class LoadCheckedImage(BaseTransform):
    """`img`: uint8 [H, W, 3] in mmseg's channel order, BGR. EXIF orientation is ignored: annotations do not have it."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        image = np.asarray(decode_rgb(Path(results["img_path"])))[..., ::-1]
        shape = image.shape[:2]
        return {**results, "img": np.ascontiguousarray(image), "img_shape": shape, "ori_shape": shape}


@TRANSFORMS.register_module()
class LoadCheckedLabels(BaseTransform):
    """`gt_seg_map`: class indices uint8 [H, W] from the values of a data set; unlabelled pixels become 255."""

    def __init__(self, labels: Labels = ADE20K_LABELS) -> None:
        self.labels = labels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        values = read_annotation(results, "seg_map_path")
        unknown = self.labels.unknown(values)
        if unknown is not None:
            raise DataError(
                f"{results['seg_map_path']}: label {unknown}, expected {self.labels.expected}; replace the file"
            )
        results["gt_seg_map"] = self.labels.indices(values)
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
