"""The parameters that a depth protocol trains, their learning rates, and which of them are decayed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import nn

from mmseg_configs.backbone import UMTBackbone

Group = dict[str, Any]
Rule = Callable[..., list[Group]]


def every_parameter(
    backbone: UMTBackbone, head: nn.Module, *, lr: float, weight_decay: float, backbone_scale: float
) -> list[Group]:
    """Train every backbone parameter, also position embedding and class token, at lr x scale.

    Parameters of one dimension and those the Backbone names are not decayed.
    """
    exempt = backbone.backbone.no_weight_decay()
    slow = _split(backbone.backbone, exempt, lr * backbone_scale, weight_decay)
    return [*slow, *_split(head, set(), lr, weight_decay)]


def custom_keys(
    backbone: UMTBackbone, head: nn.Module, *, lr: float, weight_decay: float, backbone_scale: float
) -> list[Group]:
    """Group parameters as mmengine applies Proteus' `custom_keys`: the longest key that a name contains decides.

    Position embedding and class token learn at the full lr, undecayed; all else in the backbone at lr x scale,
    its norms and biases decayed; the head at lr, decayed as a whole.
    """
    tokens: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, value in backbone.named_parameters():
        if value.requires_grad:
            (tokens if "pos_embed" in name or "cls_token" in name else rest).append(value)
    return [
        {"params": tokens, "lr": lr, "weight_decay": 0.0},
        {"params": rest, "lr": lr * backbone_scale, "weight_decay": weight_decay},
        {"params": list(head.parameters()), "lr": lr, "weight_decay": weight_decay},
    ]


def head_only(
    backbone: UMTBackbone, head: nn.Module, *, lr: float, weight_decay: float, backbone_scale: float
) -> list[Group]:
    """Train the head at lr, decayed as a whole; the backbone is frozen, and `backbone_scale` is not used."""
    return [{"params": list(head.parameters()), "lr": lr, "weight_decay": weight_decay}]


RULES: dict[str, Rule] = {"all": every_parameter, "custom_keys": custom_keys, "head": head_only}


def _split(module: nn.Module, exempt: Iterable[str], lr: float, weight_decay: float) -> list[Group]:
    """Split parameters into a decayed group and a group without decay: vectors, scalars and exempt names."""
    trained = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
    plain = {name for name, value in trained if value.ndim <= 1 or name in exempt}
    return [
        {
            "params": [value for name, value in trained if name not in plain],
            "lr": lr,
            "weight_decay": weight_decay,
        },
        {"params": [value for name, value in trained if name in plain], "lr": lr, "weight_decay": 0.0},
    ]
