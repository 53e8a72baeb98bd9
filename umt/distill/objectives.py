"""Objectives of teachers: the global target of each, and the name of its feature loss (paper section A.3)."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from umt import plugins
from umt.backbones.contract import Features
from umt.errors import unknown_name


@dataclass(frozen=True)
class Objective:
    """`summary` is the global target [B, D] of the model token, `feature_loss` a name in FEATURE_LOSSES (paper A.3).

    `incompatible` says why a teacher cannot have this objective, from its features of a few images; None if it can.
    `mosaics`: true if the mean of a view's cells may be its global target, as a tile of a mosaic has no other.
    """

    name: str
    summary: Callable[[Features], Tensor]
    feature_loss: str
    incompatible: Callable[[Features], str | None] = lambda features: None
    mosaics: bool = False


def summary_token(features: Features) -> Tensor:
    """Return the class token of a ViT, the pooled feature of a CNN."""
    return features.pooled if features.cls is None else features.cls


def image_encoding(features: Features) -> Tensor:
    """Return the image encoding that CLIP compares with texts."""
    return features.pooled


def _no_encoding(features: Features) -> str | None:
    """Say why a teacher has no CLIP encoding: its pooled feature is only its own class token or pooled map."""
    pooled = features.pooled
    features_alone = [features.maps[-1].mean(dim=(2, 3)), *([] if features.cls is None else [features.cls])]
    if any(pooled.shape == feature.shape and torch.allclose(pooled, feature, atol=1e-4) for feature in features_alone):
        return "it has no image encoding apart from its features; take classification, mae or dino"
    return None


ENTRY_POINT_GROUP = "umt.teacher_objectives"
OLD_GROUP = "umt.kinds"  # its name in version 0.1, which works for one more release
OBJECTIVES = {
    objective.name: objective
    for objective in (
        Objective("classification", summary_token, "pooled_cosine"),
        Objective("clip", image_encoding, "pooled_cosine", _no_encoding),
        Objective("mae", summary_token, "patch_mse", mosaics=True),
        Objective("dino", summary_token, "patch_cosine", mosaics=True),
    )
}


def objective_of(name: str) -> Objective:
    """Return the objective of that name, ours or an installed package's; UMTError lists the known names."""
    if name in OBJECTIVES:
        for group in (ENTRY_POINT_GROUP, OLD_GROUP):
            plugins.refuse_claims(group, tuple(OBJECTIVES))
        return OBJECTIVES[name]
    offered, old = (plugins.installed(group, tuple(OBJECTIVES)) for group in (ENTRY_POINT_GROUP, OLD_GROUP))
    if name not in offered | old:
        raise unknown_name("objective of a teacher", name, [*OBJECTIVES, *(offered | old)])
    if name not in offered:
        warnings.warn(
            f"'{name}' of {plugins.about(old[name])}: the entry-point group {OLD_GROUP} goes with the next release; "
            f"offer it in {ENTRY_POINT_GROUP}",
            DeprecationWarning,
            stacklevel=2,
        )
    objective: Objective = plugins.load((old | offered)[name], Objective)
    return objective
