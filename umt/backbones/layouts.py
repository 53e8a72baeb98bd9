"""The place of the backbone in the files of self-supervised trainings, which hold more than the backbone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """Names of a training's whole model: `backbone` is the prefix to remove, `rest` begins all other names."""

    origin: str
    backbone: str
    rest: tuple[str, ...]


LAYOUTS = (
    Layout(
        "SparK with its decoder, *_spark_style.pth",
        backbone="sparse_encoder.sp_cnn.",
        rest=("dense_decoder.", "densify_norms.", "densify_projs.", "mask_tokens.", "imn_m", "imn_s", "norm_black"),
    ),
    Layout("DINO with its projection head, *_full_checkpoint.pth", backbone="backbone.", rest=("head.",)),
)


def backbone_part(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the backbone's weights under its own names, or all of `state` if a name fits no layout."""
    for layout in LAYOUTS:
        part = {name: value for name, value in state.items() if name.startswith(layout.backbone)}
        if part and all(name.startswith(layout.rest) for name in state.keys() - part.keys()):
            return {name.removeprefix(layout.backbone): value for name, value in part.items()}
    return dict(state)
