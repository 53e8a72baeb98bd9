"""Descriptions of the three kinds of image towers in open_clip, for features of images of any size."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.layers import resample_abs_pos_embed
from timm.models import group_parameters
from torch import Tensor, nn

from umt.backbones.adapters import timm_adapter
from umt.errors import BackboneError

# In the form of timm's group_matcher; 99999 joins the layer before.
VIT_GROUPS: Mapping[str, Any] = {
    "stem": r"^(?:class_embedding|positional_embedding|conv1|ln_pre)",
    "blocks": [(r"^transformer\.resblocks\.(\d+)", None), (r"^(?:attn_pool|ln_post|proj)", (99999,))],
}
RESNET_GROUPS: Mapping[str, Any] = {
    "stem": r"^(?:conv|bn)\d",
    "blocks": [(r"^layer(\d+)\.(\d+)", None), (r"^attnpool", (99999,))],
}


@dataclass(frozen=True)
class Tower:
    """A description of how to read an image tower."""

    maps: int
    multiple: int  # pixels that a cell of the coarsest map covers
    layer_ids: Mapping[str, int]
    no_weight_decay: Set[str] = frozenset()
    has_cls: bool = False
    norm: bool = True  # true if the final norm fits the maps
    position: str | None = None  # name of the position embedding, if its size is fixed
    prefix: int = 1  # entries of that embedding before the grid


def describe(visual: nn.Module) -> Tower:
    """Return the description for a tower's kind; UMTError if the kind is not known."""
    if isinstance(visual, VisionTransformer):
        return _vision_transformer(visual)
    if isinstance(visual, ModifiedResNet):
        ids = group_parameters(visual, RESNET_GROUPS, reverse=True)
        return Tower(maps=5, multiple=32, layer_ids=ids, position="attnpool.positional_embedding")
    if isinstance(visual, TimmModel):
        return _timm(visual)
    raise BackboneError(
        f"open_clip's image tower {type(visual).__name__} is not supported; take a ViT, ResNet or timm tower"
    )


def resampled(embedding: Tensor, grid: list[int], prefix: int) -> Tensor:
    """Resample a position embedding [N, C] or [1, N, C] of a square grid to another, bicubic; `prefix` entries stay."""
    table = embedding.reshape(1, -1, embedding.shape[-1])
    table = resample_abs_pos_embed(table, grid, num_prefix_tokens=prefix)
    return table.reshape(*embedding.shape[:-2], -1, embedding.shape[-1])


def _vision_transformer(visual: VisionTransformer) -> Tower:
    return Tower(
        maps=visual.transformer.layers,
        multiple=visual.patch_size[0],
        layer_ids=group_parameters(visual, VIT_GROUPS, reverse=True),
        no_weight_decay=visual.no_weight_decay(),
        has_cls=True,
        norm=visual.attn_pool is None,  # with attentional pooling the norm follows the pool, and has its width
        position="positional_embedding",
    )


def _timm(visual: TimmModel) -> Tower:
    trunk = visual.trunk
    ids = timm_adapter.layer_ids(trunk)
    last = max(ids.values())
    fixed = isinstance(getattr(trunk, "pos_embed", None), Tensor) and not getattr(trunk, "dynamic_img_size", False)
    if fixed:
        trunk.patch_embed.strict_img_size = False
    return Tower(
        maps=len(trunk.feature_info),
        multiple=timm_adapter.largest_stride(trunk),
        layer_ids={f"trunk.{name}": layer for name, layer in ids.items()}
        | {f"head.{name}": last for name, _ in visual.head.named_parameters()},
        no_weight_decay={f"trunk.{name}" for name in timm_adapter.no_weight_decay(trunk)},
        has_cls=timm_adapter.has_cls(trunk),
        norm=timm_adapter.has_final_norm(trunk),
        position="trunk.pos_embed" if fixed else None,
        prefix=0 if getattr(trunk, "no_embed_class", False) else getattr(trunk, "num_prefix_tokens", 0),
    )
