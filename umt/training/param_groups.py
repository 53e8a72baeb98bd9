"""Optimiser groups with layer-wise learning-rate decay, from the depth that a Backbone declares."""

from __future__ import annotations

from typing import Any

from torch import nn

from umt.backbones.contract import Backbone

Group = dict[str, Any]


def layer_decay_groups(
    backbone: Backbone, head: nn.Module, *, lr: float, weight_decay: float, layer_decay: float
) -> list[Group]:
    """Return groups with learning rate lr * layer_decay^(L + 1 - layer), L the last block; the head has the full lr.

    MAE's rule (He et al. 2022, appendix A.2), after BEiT: norms and convolutions behind the last block learn as the
    head does. One-dimensional parameters and those of `Backbone.no_weight_decay` are not decayed. Frozen parameters are
    left out.
    """
    layers, undecayed = backbone.layer_ids(), backbone.no_weight_decay()
    behind = _behind_blocks(backbone)
    top = max(layer for name, layer in layers.items() if name not in behind) + 1
    groups: dict[tuple[int, bool], Group] = {}

    def add(parameter: nn.Parameter, layer: int, decayed: bool) -> None:
        if not parameter.requires_grad:
            return
        decay = weight_decay if decayed and parameter.ndim > 1 else 0.0
        group = {"params": [], "lr": lr * layer_decay ** (top - layer), "weight_decay": decay}
        groups.setdefault((layer, decay > 0), group)["params"].append(parameter)

    for name, parameter in backbone.named_parameters():
        add(parameter, top if name in behind else layers[name], name not in undecayed)
    for parameter in head.parameters():
        add(parameter, top, True)
    return list(groups.values())


def _behind_blocks(backbone: Backbone) -> set[str]:
    """Return names of parameters that are registered behind the last numbered block; none if nothing is numbered."""
    names = [name for name, _ in backbone.named_parameters()]
    blocks = [index for index, name in enumerate(names) if any(part.isdigit() for part in name.split("."))]
    return set(names[blocks[-1] + 1 :]) if blocks else set()
