"""The loss of an mmseg decode head through `upsampled_cross_entropy`, if that gives the same number."""

from __future__ import annotations

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import CrossEntropyLoss
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_configs.fused.loss import PixelSums, upsampled_cross_entropy

EPSILON = torch.finfo(torch.float32).eps  # mmseg's, in both of its averages


def softmax_loss(head: BaseDecodeHead) -> CrossEntropyLoss | None:
    """Return the head's loss if it is one softmax cross-entropy, summed or averaged over all pixels without sampler."""
    loss = head.loss_decode
    if isinstance(loss, torch.nn.ModuleList) and len(loss) == 1:
        loss = loss[0]
    known = type(loss) is CrossEntropyLoss and not (loss.use_sigmoid or loss.use_mask) and loss.reduction != "none"
    if not known or head.sampler is not None or head.ignore_index is None or head.out_channels == 1:
        return None
    return None if loss.class_weight is not None and loss.avg_non_ignore else loss  # mmseg itself fails there


def fused_loss(
    head: BaseDecodeHead, loss: CrossEntropyLoss, logits: Tensor, samples: list[SegDataSample]
) -> dict[str, Tensor]:
    """Compute `head.loss_by_feat(logits, samples)` for `loss`: the loss by its name, and `acc_seg`.

    A pixel whose label ties with another class counts as correct in `acc_seg`; mmseg takes the class that `topk` lists.
    """
    labels = head._stack_batch_gt(samples).squeeze(1)
    weight = None if loss.class_weight is None else logits.new_tensor(loss.class_weight)
    sums = upsampled_cross_entropy(logits, labels, head.ignore_index, weight, head.align_corners)
    value = sums.loss if loss.reduction == "sum" else sums.loss / _divisor(head, loss, labels, weight, sums)
    accuracy = (sums.correct + EPSILON) * (100.0 / (sums.counted + EPSILON))
    return {loss.loss_name: loss.loss_weight * value, "acc_seg": accuracy.reshape(1)}


def _divisor(
    head: BaseDecodeHead, loss: CrossEntropyLoss, labels: Tensor, weight: Tensor | None, sums: PixelSums
) -> Tensor | float:
    """Return mmseg's divisor: all pixels, also ignored ones unless `avg_non_ignore`; with class weights their sum."""
    if weight is not None:
        return weight[labels[labels != head.ignore_index]].sum() + EPSILON
    return (sums.counted.to(sums.loss) if loss.avg_non_ignore else labels.numel()) + EPSILON
