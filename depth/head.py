"""The DPT head (Ranftl et al. 2021) of MMSegmentation as a depth head for maps of any strides and widths."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.dpt_head import DPTHead, ReassembleBlocks
from mmseg.models.losses import SiLogLoss
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from umt.errors import UMTError


@MODELS.register_module()
class DPTDepthHead(DPTHead):
    """Depth in metres [B, 1, H, W] from four [map, summary token] pairs, shallow to deep.

    The convolution's output goes through a sigmoid that spans (min_depth, max_depth), as in VPD: always positive, so
    that the logarithms of SiLog and of the metrics exist, and with a gradient everywhere, which a clamp has not.

    in_channels, strides: of the four maps. channels: width of the fusion blocks. post_process_channels: width of each
    level before them.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        channels: int,
        post_process_channels: Sequence[int],
        min_depth: float,
        max_depth: float,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels=list(in_channels),
            channels=channels,
            in_index=list(range(len(in_channels))),
            input_transform="multiple_select",
            num_classes=1,
            threshold=0.0,  # of binary segmentation; mmseg warns where it is missing
            loss_decode={"type": "SiLogLoss"},
            post_process_channels=list(post_process_channels),
            norm_cfg={"type": "BN"},
            **options,
        )
        self.reassemble_blocks = Reassemble(in_channels, strides, post_process_channels)
        self.min_depth, self.max_depth = min_depth, max_depth

    def forward(self, inputs: Sequence[list[Tensor]]) -> Tensor:
        share = super().forward(inputs).float().sigmoid()
        return self.min_depth + (self.max_depth - self.min_depth) * share

    def loss_by_feat(self, depth: Tensor, batch_data_samples: list[Any]) -> dict[str, Tensor]:
        truth = torch.stack([sample.gt_depth_map.data for sample in batch_data_samples])
        depth = resize(depth, size=truth.shape[2:], mode="bilinear", align_corners=self.align_corners)
        return {"loss_silog": masked_silog(self.loss_decode, depth, truth)}


class Reassemble(ReassembleBlocks):
    """mmseg's reassembling with readout 'project', for levels of unequal width and stride.

    The four levels come out at 1/4, 1/2, 1 and 2 times the stride of the third: DPT's 4, 8, 16, 32 of a ViT with
    patches of 16, and for a CNN of those strides no resampling at all.
    """

    def __init__(self, in_channels: Sequence[int], strides: Sequence[int], out_channels: Sequence[int]) -> None:
        nn.Module.__init__(self)
        self._is_init, self.init_cfg = False, None  # what mmengine's BaseModule would set
        self.readout_type = "project"
        targets = [Fraction(strides[2]) * share for share in (Fraction(1, 4), Fraction(1, 2), 1, 2)]
        self.readout_projects = nn.ModuleList(
            nn.Sequential(nn.Linear(2 * width, width), nn.GELU()) for width in in_channels
        )
        self.projects = nn.ModuleList(
            ConvModule(width, out, kernel_size=1, act_cfg=None)
            for width, out in zip(in_channels, out_channels, strict=True)
        )
        self.resize_layers = nn.ModuleList(
            resampling(out, stride / target) for out, stride, target in zip(out_channels, strides, targets, strict=True)
        )


def resampling(channels: int, factor: Fraction) -> nn.Module:
    """A learned layer that makes a map `factor` times as large, as DPT does it; UMTError where 1/2, 3, ... is not."""
    if factor == 1:
        return nn.Identity()
    if factor.denominator == 1:
        return nn.ConvTranspose2d(channels, channels, kernel_size=int(factor), stride=int(factor))
    if factor.numerator == 1:
        return nn.Conv2d(channels, channels, kernel_size=3, stride=factor.denominator, padding=1)
    raise UMTError(f"a DPT head cannot scale a map by {factor}; the strides of the backbone's maps must be multiples")


def masked_silog(loss: SiLogLoss, depth: Tensor, truth: Tensor) -> Tensor:
    """SiLog (lambda 0.5) over pixels with truth > 0, mean over images [B, 1, H, W].

    An image without such a pixel counts as 0: mmseg's loss takes the square root of zero there, whose gradient is NaN.
    """
    measured = (truth > 0).flatten(1).any(dim=1)
    if not measured.any():
        return depth.sum() * 0.0
    return loss(depth[measured], truth[measured]) * measured.float().mean()
