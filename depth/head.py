"""The DPT head (Ranftl et al. 2021) of MMSegmentation as a depth head for maps of any strides and widths."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads.dpt_head import DPTHead, ReassembleBlocks
from mmseg.registry import MODELS
from torch import Tensor, nn

from depth.losses import DepthSupervision
from umt.errors import SizeError


class StridedDPTHead(DPTHead):
    """A map of `outputs` channels from four [map, summary token] pairs, shallow to deep.

    in_channels, strides: of the four maps. channels: width of the fusion blocks. post_process_channels: width of each
    level before them.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        channels: int,
        post_process_channels: Sequence[int],
        outputs: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(
            in_channels=list(in_channels),
            channels=channels,
            in_index=list(range(len(in_channels))),
            input_transform="multiple_select",
            num_classes=outputs,
            threshold=0.0 if outputs == 1 else None,  # of binary segmentation; mmseg warns if it is missing
            post_process_channels=list(post_process_channels),
            norm_cfg={"type": "BN"},
            **options,
        )
        self.reassemble_blocks = Reassemble(in_channels, strides, post_process_channels)


@MODELS.register_module()
class DPTDepthHead(DepthSupervision, StridedDPTHead):
    """Depth in metres [B, 1, H, W].

    bounded: the convolution's output goes through a sigmoid that spans (min_depth, max_depth), as in VPD: always
    positive, so that the logarithms of SiLog and of the metrics exist, and with a gradient everywhere, which a clamp
    does not have. Otherwise the output is the depth, as Proteus published it, and predictions are clamped to the range.
    """

    def __init__(self, *maps: Any, min_depth: float, max_depth: float, bounded: bool = True, **options: Any) -> None:
        super().__init__(*maps, **options)
        self.min_depth, self.max_depth, self.bounded = min_depth, max_depth, bounded

    def forward(self, inputs: Sequence[list[Tensor]]) -> Tensor:
        output = super().forward(inputs).float()
        if not self.bounded:
            return output
        return self.min_depth + (self.max_depth - self.min_depth) * output.sigmoid()

    def predict_by_feat(self, depth: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        resized: Tensor = super().predict_by_feat(depth, batch_img_metas)
        return resized.clamp(self.min_depth, self.max_depth)


class Reassemble(ReassembleBlocks):
    """mmseg's reassembling with readout 'project', for levels of unequal width and stride.

    The four levels come out at 1/4, 1/2, 1 and 2 times the stride of the third: DPT's 4, 8, 16, 32 of a ViT with
    patches of 16, and for a CNN of those strides no resampling at all.
    """

    def __init__(self, in_channels: Sequence[int], strides: Sequence[int], out_channels: Sequence[int]) -> None:
        nn.Module.__init__(self)
        self._is_init, self.init_cfg = False, None  # as mmengine's BaseModule would set them
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
    """Return a learned layer that makes a map `factor` times as large, as DPT does; UMTError if not 1/2, 3, ..."""
    if factor == 1:
        return nn.Identity()
    if factor.denominator == 1:
        return nn.ConvTranspose2d(channels, channels, kernel_size=int(factor), stride=int(factor))
    if factor.numerator == 1:
        return nn.Conv2d(channels, channels, kernel_size=3, stride=factor.denominator, padding=1)
    raise SizeError(f"a DPT head cannot scale a map by {factor}; the strides of the backbone's maps must be multiples")
