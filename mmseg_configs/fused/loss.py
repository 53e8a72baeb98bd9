"""Cross-entropy of upsampled logits without the upsampled logits: rows at a time, gradient in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmseg_configs.fused.resampling import Operator, resize

# upsampled logits held at one time: as many as fit a core's cache, or fill a GPU
CHUNK_LOGITS = {"cpu": 2**19, "cuda": 2**23}


class PixelSums(NamedTuple):
    """Scalars, summed over the pixels that are not ignored."""

    loss: Tensor
    correct: Tensor  # pixels whose label has the largest logit
    counted: Tensor  # pixels


@dataclass(frozen=True)
class _Truth:
    """Labels [H, W] in range, and the factor on the loss of each pixel: 0 if ignored."""

    labels: Tensor
    counted: Tensor  # bool
    weight: Tensor

    @classmethod
    def of(cls, labels: Tensor, logits: Tensor, ignore_index: int, weight: Tensor | None) -> _Truth:
        counted = labels != ignore_index
        labels = torch.where(counted, labels, 0).long()
        share = counted.to(logits) if weight is None else weight.to(logits)[labels] * counted
        return cls(labels, counted, share)

    def part(self, rows: slice, columns: slice) -> _Truth:
        """Return the truth of some pixels."""
        return _Truth(*(values[rows, columns] for values in (self.labels, self.counted, self.weight)))


def upsampled_cross_entropy(
    logits: Tensor, labels: Tensor, ignore_index: int = 255, weight: Tensor | None = None, align_corners: bool = False
) -> PixelSums:
    """Return the summed cross-entropy of logits [B, C, h, w], bilinearly resized to labels [B, H, W].

    weight: of each class [C], on the loss only. float16 and bfloat16 logits are taken as float32, as autocast does.
    The gradient is computed with the loss, so a second derivative does not exist: torch raises if it is requested.
    """
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()
    return PixelSums(*_UpsampledCrossEntropy.apply(logits, labels, ignore_index, weight, align_corners))


class _UpsampledCrossEntropy(torch.autograd.Function):
    """With A x B' the upsampled logits of a class, dL/dx = A' (softmax - onehot) B: one pass gives both."""

    @staticmethod
    def forward(
        context: Any, logits: Tensor, labels: Tensor, ignore_index: int, weight: Tensor | None, align_corners: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows = resize(logits.shape[2], labels.shape[1], align_corners)
        columns = resize(logits.shape[3], labels.shape[2], align_corners)
        gradient = torch.zeros_like(logits.permute(0, 2, 1, 3), memory_format=torch.contiguous_format)  # [B, h, C, w]
        parts = []
        with torch.autocast(logits.device.type, enabled=False):
            for image, truth, into in zip(logits, labels, gradient, strict=True):
                lines = image.permute(1, 0, 2).contiguous()
                parts += _image(lines, _Truth.of(truth, image, ignore_index, weight), rows, columns, into)
        loss, correct, counted = (torch.stack(column).sum() for column in zip(*parts, strict=True))
        context.save_for_backward(gradient.permute(0, 2, 1, 3))
        context.mark_non_differentiable(correct, counted)
        return loss, correct, counted

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(context: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = context.saved_tensors
        return gradient * upstream[0], None, None, None, None


def _image(lines: Tensor, truth: _Truth, rows: Operator, columns: Operator, gradient: Tensor) -> list[PixelSums]:
    """Sum an image's chunks; add its gradient to `gradient`, which is [h, C, w] as `lines` are."""
    sums = []
    for across in columns.tiles():
        read, horizontal = columns.piece(*across, lines)
        values = lines[..., read]
        height = max(1, CHUNK_LOGITS.get(lines.device.type, CHUNK_LOGITS["cuda"]) // (lines.shape[1] * len(horizontal)))
        for start in range(0, rows.size, height):
            nodes, vertical = rows.piece(start, min(start + height, rows.size), lines)
            part = truth.part(slice(start, start + height), slice(*across))
            narrow = torch.einsum("yn,ncw->ycw", vertical, values[nodes])
            total, x = _chunk(narrow @ horizontal.T, part)
            gradient[nodes, :, read] += torch.einsum("yn,ycw->ncw", vertical, x @ horizontal)
            sums.append(total)
    return sums


def _chunk(x: Tensor, truth: _Truth) -> tuple[PixelSums, Tensor]:
    """Sum the pixels with logits x [rows, C, columns], and turn x into the gradient in place."""
    labels, share = truth.labels.unsqueeze(1), truth.weight.unsqueeze(1)
    largest = x.amax(1, keepdim=True)
    true_logits = x.gather(1, labels)
    total = x.sub_(largest).exp_().sum(1, keepdim=True)
    x.mul_(share / total).scatter_add_(1, labels, -share)
    loss = (share * (total.log() + largest - true_logits)).sum()
    return PixelSums(loss, ((true_logits == largest).squeeze(1) & truth.counted).sum(), truth.counted.sum()), x
