"""The linear head of RADIO, DINOv2 and DINOv3: BatchNorm and a 1x1 convolution on one map, or on several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from mmseg_configs.fused.head import fused_loss, softmax_loss


@MODELS.register_module()
class LinearHead(BaseDecodeHead):
    """Logits [B, classes, H, W] of the map `in_index` (default: the last), or of maps with the `in_channels` of a list.

    Several maps are laid side by side as channels, all as large as the first one.

    A softmax cross-entropy, mmseg's default, is computed without upsampled logits (`fused_loss`).
    dropout_first: dropout is before BatchNorm, as in DINOv3's probe, instead of after it, as in mmseg's heads.
    """

    def __init__(
        self, in_channels: int | Sequence[int], num_classes: int, dropout_first: bool = False, **options: Any
    ) -> None:
        widths = [in_channels] if isinstance(in_channels, int) else list(in_channels)
        if len(widths) > 1:
            options |= {"in_index": list(range(len(widths))), "input_transform": "resize_concat"}
        of_head = widths if len(widths) > 1 else widths[0]
        super().__init__(of_head, sum(widths), num_classes=num_classes, **options)
        self.norm = nn.BatchNorm2d(sum(widths))
        self.dropout_first = dropout_first and self.dropout is not None

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        fmap = self._transform_inputs(inputs)
        if self.dropout_first:
            return self.conv_seg(self.norm(self.dropout(fmap))).float()
        return self.cls_seg(self.norm(fmap)).float()

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        loss = softmax_loss(self)
        if loss is None:
            return super().loss_by_feat(seg_logits, batch_data_samples)
        return fused_loss(self, loss, seg_logits, batch_data_samples)
