"""Kinds of teachers: the global target of each, and the loss between the student's features and the teacher's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from umt import plugins
from umt.backbones.contract import Features
from umt.distill.losses import FEATURE_LOSSES
from umt.errors import unknown_name


@dataclass(frozen=True)
class Kind:
    """`summary` is the global target [B, D] of the model token, `feature_loss` a name in FEATURE_LOSSES (paper A.3).

    `misfit` says why a teacher cannot be of this kind, from its features of a few images; None if it can.
    """

    name: str
    summary: Callable[[Features], Tensor]
    feature_loss: str
    misfit: Callable[[Features], str | None] = lambda features: None


def summary_token(features: Features) -> Tensor:
    """Return the class token of a ViT, the pooled feature of a CNN."""
    return features.pooled if features.cls is None else features.cls


def image_encoding(features: Features) -> Tensor:
    """Return the image encoding that CLIP compares with texts."""
    return features.pooled


def _no_encoding(features: Features) -> str | None:
    """Say why a teacher has no CLIP encoding: its pooled feature is only its own class token or pooled map."""
    pooled = features.pooled
    own = [features.maps[-1].mean(dim=(2, 3)), *([] if features.cls is None else [features.cls])]
    if any(pooled.shape == other.shape and torch.allclose(pooled, other, atol=1e-4) for other in own):
        return "it has no image encoding apart from its features; take kind classification, mae or dino"
    return None


ENTRY_POINT_GROUP = "umt.kinds"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("classification", summary_token, "pooled_cosine"),
        Kind("clip", image_encoding, "pooled_cosine", _no_encoding),
        Kind("mae", summary_token, "patch_mse"),
        Kind("dino", summary_token, "patch_cosine"),
    )
}


def kind_of(name: str) -> Kind:
    """Return the kind of that name, ours or an installed package's; UMTError lists the known names."""
    if name in KINDS:
        plugins.refuse_claims(ENTRY_POINT_GROUP, tuple(KINDS))
        return KINDS[name]
    offered = plugins.installed(ENTRY_POINT_GROUP, tuple(KINDS))
    if name not in offered:
        raise unknown_name("kind of teacher", name, [*KINDS, *offered])
    kind: Kind = plugins.load(offered[name], Kind)
    return kind


def feature_loss(name: str) -> str:
    """Return the name itself; UMTError if there is no such loss."""
    if name not in FEATURE_LOSSES:
        raise unknown_name("feature loss", name, FEATURE_LOSSES)
    return name
