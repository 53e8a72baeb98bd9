"""The module of ViT students: norm-attention-norm-FFN, with heads x M in cross-space (paper section A.2)."""

from __future__ import annotations

from timm.models.vision_transformer import Block
from torch import Tensor, nn

from umt.distill.spaces.shapes import Grid
from umt.errors import SizeError


class AttentionBlock(nn.Module):
    """Cross-space module for `spaces` > 1, intra-space module for 1; takes tokens [B, T, spaces (d + d_m)]."""

    def __init__(self, spaces: int, width: int, heads: int, ffn_ratio: float) -> None:
        super().__init__()
        if width % heads:
            raise SizeError(
                f"recipe: interaction.heads {heads} does not divide width + token_width {width}; "
                f"nearest {_nearest_divisor(width, heads)}"
            )
        self.block = Block(spaces * width, spaces * heads, ffn_ratio, qkv_bias=True)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Return tokens of the same shape; attention needs no grid."""
        mixed: Tensor = self.block(tokens)
        return mixed


def _nearest_divisor(value: int, near: int) -> int:
    return min((number for number in range(1, value + 1) if value % number == 0), key=lambda number: abs(number - near))
