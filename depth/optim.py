"""Parameter groups of fine-tuning with a dense head: a slower backbone, and no decay of vectors."""

from __future__ import annotations

from typing import Any

from torch import nn

from mmseg_configs.backbone import UMTBackbone


def parameter_groups(
    backbone: UMTBackbone, head: nn.Module, *, lr: float, weight_decay: float, backbone_scale: float
) -> list[dict[str, Any]]:
    """Groups for AdamW: every backbone parameter, position embedding and class token too, learns at lr x scale.

    Parameters of one dimension and those the Backbone names are not decayed.
    """
    undecayed = backbone.backbone.no_weight_decay()
    parts: list[tuple[nn.Module, float, set[str]]] = [
        (backbone.backbone, lr * backbone_scale, undecayed),
        (head, lr, set()),
    ]
    groups = []
    for module, rate, exempt in parts:
        named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
        plain = {name for name, value in named if value.ndim <= 1 or name in exempt}
        groups.append({"params": [v for n, v in named if n not in plain], "lr": rate, "weight_decay": weight_decay})
        groups.append({"params": [v for n, v in named if n in plain], "lr": rate, "weight_decay": 0.0})
    return groups
