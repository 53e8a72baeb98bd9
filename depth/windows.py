"""Test in overlapping windows and their mirror images, with all of them in one forward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.segmentors import DepthEstimator
from mmseg.registry import MODELS
from torch import Tensor, nn

from umt.backbones.contract import round_up

Box = tuple[int, int, int, int]  # top, bottom, left, right in pixels


@MODELS.register_module()
class WindowedDepthEstimator(DepthEstimator):
    """mmseg's DepthEstimator whose 'slide_flip' gives the network one batch instead of two forwards a window."""

    def slide_flip_inference(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Predict depth [B, 1, H, W] of images [B, 3, H, W]: the mean of windows, each the mean with its mirror image.

        Images smaller than a window that are no multiple of the backbone's size multiple are padded below and right.
        """
        height, width = inputs.shape[2:]
        inputs = self._fitted(inputs)
        boxes = window_boxes(inputs.shape[2:], self.test_cfg.crop_size, self.test_cfg.stride)
        windows = [inputs[..., top:bottom, left:right] for top, bottom, left, right in boxes]
        mirrored_inputs, end = inputs.flip(3), inputs.shape[3]
        mirrored_windows = [
            mirrored_inputs[..., top:bottom, end - right : end - left] for top, bottom, left, right in boxes
        ]
        batch = torch.cat(windows + mirrored_windows)
        depths = self.encode_decode(batch, [{"img_shape": batch.shape[2:]}])
        straight, mirrored = depths.chunk(2)
        total = inputs.new_zeros((len(inputs), 1, *inputs.shape[2:]))
        count = torch.zeros_like(total)
        for (top, bottom, left, right), depth in zip(
            boxes, ((straight + mirrored.flip(3)) / 2).chunk(len(boxes)), strict=True
        ):
            total[..., top:bottom, left:right] += depth
            count[..., top:bottom, left:right] += 1
        return (total / count)[..., :height, :width]

    def _fitted(self, inputs: Tensor) -> Tensor:
        if self.backbone.centred:  # it pads on its own
            return inputs
        multiple = self.backbone.backbone.preprocess.size_multiple
        sides = zip(inputs.shape[2:], self.test_cfg.crop_size, strict=True)
        below, right = (round_up(side, multiple) - side if side < window else 0 for side, window in sides)
        colour = getattr(self.data_preprocessor, "colour", 0.0)
        return nn.functional.pad(inputs - colour, (0, right, 0, below)) + colour if below or right else inputs


def window_boxes(shape: Sequence[int], window: Sequence[int], stride: Sequence[int]) -> list[Box]:
    """Return windows of one size that cover an image of (height, width); the last in a row or column moves inside."""
    rows, columns = (_spans(*sizes) for sizes in zip(shape, window, stride, strict=True))
    return [(*row, *column) for row in rows for column in columns]


def _spans(length: int, window: int, stride: int) -> list[tuple[int, int]]:
    last = max(length - window, 0)
    starts = [*range(0, last, stride), last]
    return [(start, min(start + window, length)) for start in starts]
