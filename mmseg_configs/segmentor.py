"""mmseg's EncoderDecoder without full-resolution logits: the same losses and class maps, sooner and in less memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_configs.fused.head import fused_loss, softmax_loss
from mmseg_configs.fused.map import class_map
from mmseg_configs.fused.resampling import evaluation, window_starts

Samples = list[SegDataSample]
Starts = tuple[int, ...]


class SampleOnDemand(SegDataSample):
    """A sample whose `seg_logits` are computed when they are asked for; its copies have none."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "compute"}

    @property
    def seg_logits(self) -> PixelData:
        if "_seg_logits" not in self:
            self.set_field(self.compute(), "_seg_logits", dtype=PixelData)
        return self._seg_logits

    @seg_logits.setter
    def seg_logits(self, value: PixelData) -> None:
        self.set_field(value, "_seg_logits", dtype=PixelData)


def compute_on_demand(sample: SegDataSample, compute: Callable[[], PixelData]) -> None:
    """Let a sample compute its `seg_logits` on demand."""
    sample.__class__ = SampleOnDemand
    object.__setattr__(sample, "compute", compute)  # no field of its data, which are copied and counted


@MODELS.register_module()
class FusedEncoderDecoder(EncoderDecoder):
    """A drop-in for EncoderDecoder in any config: `model=dict(type='FusedEncoderDecoder', ...)`.

    Losses of its decode head are `fused_loss`; predictions in mode whole and slide have `pred_sem_seg`, and mmseg's
    `seg_logits` only once somebody asks for them, as its test-time augmentation does. A head with its own
    `loss_by_feat` or `predict_by_feat`, one output channel and flipped images go mmseg's way, and so do auxiliary
    heads. Logits that are not finite predict class -1 everywhere, for which `ClassIoU` raises an error.
    """

    def _decode_head_forward_train(self, inputs: list[Tensor], data_samples: Samples) -> dict[str, Tensor]:
        head = self.decode_head
        loss = softmax_loss(head)
        if loss is None or not _inherits(head, "loss_by_feat", "loss"):
            return super()._decode_head_forward_train(inputs, data_samples)
        losses = fused_loss(head, loss, head.forward(inputs), data_samples)
        return {f"decode.{name}": value for name, value in losses.items()}

    def predict(self, inputs: Tensor, data_samples: Samples | None = None) -> Samples:
        """Predict class maps int64 [1, H, W] of the original sizes, as `pred_sem_seg` of the samples."""
        if data_samples is None or not self._takes(inputs, data_samples):
            return super().predict(inputs, data_samples)
        rows, columns = (self._starts(axis, inputs.shape[2 + axis]) for axis in (0, 1))
        logits = self._window_logits(inputs, rows, columns)
        for index, (sample, values) in enumerate(zip(data_samples, logits, strict=True)):
            compute_on_demand(sample, partial(self._seg_logits, inputs[index : index + 1], sample.metainfo))
            sample.pred_sem_seg = PixelData(data=self._class_map(values, sample.metainfo, inputs, rows, columns)[None])
        return data_samples

    def _seg_logits(self, inputs: Tensor, meta: dict[str, Any]) -> PixelData:
        """Compute mmseg's own logits of one image at its original size, in a second forward."""
        with torch.no_grad():
            [sample] = super().predict(inputs, [SegDataSample(metainfo=meta)])
        return sample.seg_logits

    def _takes(self, inputs: Tensor, samples: Samples) -> bool:
        plain = self.out_channels > 1 and _inherits(self.decode_head, "predict", "predict_by_feat")
        size = tuple(inputs.shape[2:])
        return plain and all(
            not meta.get("flip") and tuple(meta.get("pad_shape", meta["img_shape"])[:2]) == size
            for meta in (sample.metainfo for sample in samples)
        )

    def _starts(self, axis: int, size: int) -> Starts:
        if self.test_cfg.mode == "whole":
            return (0,)
        return window_starts(self.test_cfg.crop_size[axis], self.test_cfg.stride[axis], size)

    def _window(self, axis: int, size: int) -> int:
        return size if self.test_cfg.mode == "whole" else min(self.test_cfg.crop_size[axis], size)

    def _window_logits(self, inputs: Tensor, rows: Starts, columns: Starts) -> Tensor:
        """Return the head's logits [B, C, windows x h, windows x w] of all windows side by side."""
        height, width = (self._window(axis, inputs.shape[2 + axis]) for axis in (0, 1))
        lines = [
            torch.cat([self._forward(inputs[..., y : y + height, x : x + width]) for x in columns], dim=3) for y in rows
        ]
        return torch.cat(lines, dim=2)

    def _class_map(self, logits: Tensor, meta: dict[str, Any], inputs: Tensor, rows: Starts, columns: Starts) -> Tensor:
        left, right, top, bottom = meta.get("img_padding_size", meta.get("padding_size", (0, 0, 0, 0)))
        padding = ((top, bottom), (left, right))
        operators = []
        for axis, starts in enumerate((rows, columns)):
            size = inputs.shape[2 + axis]
            visible = (padding[axis][0], size - padding[axis][1])
            nodes = logits.shape[1 + axis] // len(starts)
            window, length = self._window(axis, size), meta["ori_shape"][axis]
            operators.append(evaluation(nodes, window, starts, visible, length, self.align_corners))
        return class_map(logits, *operators)


def _inherits(head: BaseDecodeHead, *methods: str) -> bool:
    return all(getattr(type(head), name) is getattr(BaseDecodeHead, name) for name in methods)
