"""The libraries that have the architectures: built empty to compare shapes, or whole to take the weights."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from typing import Any

import torch
from timm.data import resolve_model_data_config
from torch import nn

from umt.backbones.adapters import open_clip_adapter, timm_adapter
from umt.backbones.contract import Backbone, Preprocess
from umt.backbones.lean import uninitialised
from umt.backbones.recognition.convert import State

POSITIONS = r"pos_embed|positional_embedding|relative_position|rel_pos|patch_embed"  # what another size resamples


def empty_model(library: str, name: str, options: Mapping[str, Any]) -> nn.Module:
    """Build an architecture without memory for its weights."""
    with torch.device("meta"), uninitialised():
        if library == "open_clip":
            visual: nn.Module = open_clip_adapter.create(name, False, {**options, "device": "meta"}).visual
            return visual
        model: nn.Module = timm_adapter.create_model(name, {**options, "pretrained": False})
        return model


def build(library: str, name: str, options: Mapping[str, Any]) -> tuple[Backbone, nn.Module]:
    """Build a backbone with random weights, and return the module in it that the file is for."""
    if library == "open_clip":
        tower = open_clip_adapter.build(name, {"pretrained": False, **options})
        return tower, tower.model.visual
    backbone = timm_adapter.build(name, {**options, "pretrained": False})
    return backbone, backbone.model


def tag_preprocess(library: str, name: str, options: Mapping[str, Any]) -> Preprocess:
    """Return the preprocessing that the library has for an architecture's own weights."""
    model = empty_model(library, name, options)
    if library == "open_clip":
        return open_clip_adapter.preprocess_of(model)
    config = resolve_model_data_config(model)
    mean, std = tuple(config["mean"]), tuple(config["std"])
    return Preprocess(mean, std, config["interpolation"], config["crop_pct"], config["input_size"][-1])


def resized(library: str, model: nn.Module, state: State) -> State:
    """Return a state whose positions and tables are resampled to the model's size, if they have another."""
    model_state = model.state_dict()
    differing = [name for name in state.keys() & model_state.keys() if state[name].numel() != model_state[name].numel()]
    if not differing or not all(re.search(POSITIONS, name) for name in differing):
        return state
    if library == "open_clip":
        return open_clip_adapter.fit_positions(dict(state), model)
    resampled = by_timm(model, state)
    return {name: resampled.get(name, value) if name in differing else value for name, value in state.items()}


def by_timm(model: nn.Module, state: State) -> State:
    """Return a state as timm's own converter for the architecture gives it; empty if there is none, or it fails.

    Tensors that it drops stay under their own names, so that each of them must have a reason to be left.
    """
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        result = convert(dict(state), model) if convert else {}
    except Exception:  # the converters take the architecture for granted
        return {}
    used = {value.untyped_storage().data_ptr() for value in result.values()}
    dropped = {name: value for name, value in state.items() if value.untyped_storage().data_ptr() not in used}
    return {**dropped, **result}
