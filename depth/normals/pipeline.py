"""Transforms of images with normals in an mmseg pipeline: `normals`, float32 [H, W, 3], is 0 where there is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample
from PIL import Image
from torchvision.transforms import v2

from depth.loading import LoadCheckedDepth
from depth.normals.geometry import Pair, derived_normals
from umt.data.normals import read_normals
from umt.errors import DataError

Size = tuple[int, int]
META_KEYS = ("img_path", "ori_shape", "img_shape")


@TRANSFORMS.register_module()
class LoadDerivedNormals(BaseTransform):
    """Load `normals` as `derived_normals` derives them from the depth map at `size` (height, width).

    Depth is resized by the nearest pixel, and beyond the range not measured. focal, centre: at `frame` (height, width).
    """

    def __init__(
        self,
        frame: Size,
        size: Size,
        focal: Pair,
        centre: Pair,
        radius: int,
        tolerance: float,
        min_depth: float,
        max_depth: float,
    ) -> None:
        scales = [new / old for new, old in zip(size[::-1], frame[::-1], strict=True)]
        self.load = LoadCheckedDepth(min_depth, max_depth)
        self.size = size
        self.options: dict[str, Any] = {
            "focal": [length * scale for length, scale in zip(focal, scales, strict=True)],
            "centre": [(middle + 0.5) * scale - 0.5 for middle, scale in zip(centre, scales, strict=True)],
            "radius": radius,
            "tolerance": tolerance,
        }

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        depth = self.load.transform(results).pop("gt_depth_map")
        normals = derived_normals(_nearest(depth, self.size), **self.options)
        if not normals.any():
            raise DataError(
                f"{results['depth_map_path']}: no part of it is flat enough for normals; remove it and its image"
            )
        return {**results, "normals": normals.astype(np.float32)}


@TRANSFORMS.register_module()
class LoadPublishedNormals(BaseTransform):
    """Load `normals` from the file of a data set of normals, by the nearest pixel at `size` (height, width)."""

    def __init__(self, size: Size) -> None:
        self.size = size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        normals = read_normals(Path(results["depth_map_path"]), results["ori_shape"])
        return {**results, "normals": _nearest(normals, self.size)}


@TRANSFORMS.register_module()
class CentreCrop(BaseTransform):
    """Resize an image to `size` (height, width), and cut out its middle and that of normals, which have that size."""

    def __init__(self, size: Size, crop: Size) -> None:
        self.size, self.crop = size, crop

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        top, left = ((side - part) // 2 for side, part in zip(self.size, self.crop, strict=True))
        window = np.s_[top : top + self.crop[0], left : left + self.crop[1]]
        image = np.asarray(Image.fromarray(results["img"]).resize(self.size[::-1], Image.Resampling.BILINEAR))
        cut = {"img": image[window], "normals": results["normals"][window]}
        return {**results, **cut, "img_shape": self.crop, "ori_shape": self.crop}


@TRANSFORMS.register_module()
class RandomSquare(BaseTransform):
    """With probability `prob` a square of `area` of the image, enlarged to its size by the nearest pixels."""

    def __init__(self, prob: float, area: tuple[float, float]) -> None:
        self.prob, self.area = prob, area

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if torch.rand(()) >= self.prob:
            return results
        size = results["img"].shape[:2]
        blank = torch.zeros(1, *size)
        top, left, height, width = v2.RandomResizedCrop.get_params(blank, scale=self.area, ratio=(1.0, 1.0))
        window = np.s_[top : top + height, left : left + width]
        return {**results, **{name: _nearest(results[name][window], size) for name in ("img", "normals")}}


@TRANSFORMS.register_module()
class RandomJitter(BaseTransform):
    """With probability `prob` torchvision's colour jitter of one strength for all four, on BGR bytes [H, W, 3]."""

    def __init__(self, prob: float, strength: float) -> None:
        self.prob, self.jitter = prob, v2.ColorJitter(strength, strength, strength, strength)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        if torch.rand(()) >= self.prob:
            return results
        rgb = torch.from_numpy(np.ascontiguousarray(results["img"][..., ::-1])).permute(2, 0, 1)
        return {**results, "img": self.jitter(rgb).permute(1, 2, 0).numpy()[..., ::-1]}


@TRANSFORMS.register_module()
class PackNormals(BaseTransform):
    """Pack image and normals in mmseg's form; normals [3, H, W] lie in `gt_depth_map`, which mmseg pads with images."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        sample = SegDataSample(metainfo={name: results[name] for name in META_KEYS})
        sample.gt_depth_map = PixelData(data=_channels_first(results["normals"]))
        return {"inputs": _channels_first(results["img"]), "data_samples": sample}


def _channels_first(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))


def _nearest(values: np.ndarray, size: Size) -> np.ndarray:
    """Return the pixels of values [h, w, ...] whose centres are nearest to those of the new size."""
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(size, values.shape[:2], strict=True)
    )
    picked: np.ndarray = values[rows[:, None], columns]
    return picked
