"""`timm:NAME[?weights=FILE&...]`: any timm model as a Backbone, through `forward_intermediates`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import timm
from timm.data import resolve_model_data_config
from timm.models import group_parameters
from torch import Tensor

from umt.backbones.adapters.building import building
from umt.backbones.contract import Backbone, Features, Preprocess, preprocess_options
from umt.backbones.probing import measure
from umt.backbones.spec import Spec
from umt.backbones.weights import load_weights, read_state_dict
from umt.errors import BackboneError, unknown_name

Model = Any  # a timm model: nn.Module declares none of the attributes that timm adds
NO_FINAL_NORM = ("Hiera", "HieraDet")  # the norm is part of their head, and timm refuses norm=True
DINOV3_VITS = "vit_*_dinov3*"  # evaluated on the class token by their authors, where timm averages patches
SAME_LAYER = (99999,)  # in timm's group matchers: the layer of the module before


class TimmBackbone(Backbone):
    """A timm model without its classifier."""

    def __init__(self, model: Model, preprocess: Preprocess) -> None:
        every_map = range(len(model.feature_info))
        shape = measure(
            f"timm:{model.pretrained_cfg['architecture']}",
            model,
            lambda images: extract(model, images, every_map),
            multiples=[largest_stride(model), preprocess.size],
            native=max(preprocess.size, model.pretrained_cfg["input_size"][-1]),
        )
        super().__init__(
            replace(preprocess, size_multiple=shape.size_multiple),
            channels=shape.channels,
            strides=shape.strides,
            dim=shape.dim,
        )
        self.model = model
        self.architecture = model.pretrained_cfg["architecture"]

    @property
    def has_cls(self) -> bool:
        return has_cls(self.model)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        return extract(self.model, images, maps)

    def layer_ids(self) -> dict[str, int]:
        if not hasattr(self.model, "group_matcher"):
            return super().layer_ids()
        return {f"model.{name}": layer for name, layer in layer_ids(self.model).items()}

    def no_weight_decay(self) -> set[str]:
        return {f"model.{name}" for name in no_weight_decay(self.model)}


def load(spec: Spec) -> TimmBackbone:
    """Build from a name; options are mean, std, size, weights, pretrained, and any argument of the timm model.

    Weights come from `weights=FILE`, else from timm's hub unless `pretrained=false` (random, seed 0).
    """
    options = dict(spec.options)
    weights = options.pop("weights", None)
    backbone = build(spec.name, {"pretrained": weights is None, **options})
    if weights is not None:
        state = read_state_dict(Path(str(weights)))
        backbone.load_report = load_weights(backbone.model, state, source=str(weights))
    return backbone


def build(name: str, options: Mapping[str, Any]) -> TimmBackbone:
    """Build the backbone of a timm name for any input size; preprocessing is timm's for the weights by default."""
    rest = dict(options)
    overrides = preprocess_options(rest)
    model = create_model(name, rest)
    config = resolve_model_data_config(model)
    preprocess = Preprocess(
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        crop_pct=config["crop_pct"],
        size=rest.get("img_size") or config["input_size"][-1],
    )
    return TimmBackbone(model, preprocess.override(**overrides))


def create_model(name: str, options: Mapping[str, Any]) -> Model:
    """Create a timm model without classifier."""
    if not timm.is_model(name.partition(".")[0]):
        raise unknown_name("timm model", name, timm.list_models(), listing="umt backbones list timm")
    with building(f"timm:{name}", options):
        model = _create(name, dict(options))
    if not model.feature_info:
        raise BackboneError(f"timm:{name} with options {dict(options)}: has no block that gives a map")
    if not hasattr(model, "forward_intermediates"):
        raise BackboneError(f"timm:{name} is not supported: timm gives it no forward_intermediates")
    if "global_pool" not in options and fnmatch(model.pretrained_cfg["architecture"], DINOV3_VITS):
        model.global_pool = "token"
    return model


def extract(model: Model, images: Tensor, maps: Sequence[int]) -> Features:
    """Return features of a timm model for normalised images; `maps` holds non-negative indices."""
    last = len(model.feature_info) - 1  # always asked for: some models stop at the last map that is wanted
    options: dict[str, Any] = {"indices": sorted({*maps, last}), "norm": has_final_norm(model)}
    if has_cls(model):
        options["return_prefix_tokens"] = True
    final, found = model.forward_intermediates(images, **options)
    by_index = dict(zip(options["indices"], found, strict=True))
    pooled = model.forward_head(final, pre_logits=True)
    if not has_cls(model):
        return Features(pooled, None, [by_index[index] for index in maps])
    grids = [by_index[index][0] for index in maps]
    return Features(pooled, final[:, 0], grids, [by_index[index][1][:, 0] for index in maps])


def has_cls(model: Model) -> bool:
    """Return whether the model has a class token in every block, and gives it."""
    if getattr(model, "cls_token", None) is None:
        return False
    return "return_prefix_tokens" in inspect.signature(model.forward_intermediates).parameters


def has_final_norm(model: Model) -> bool:
    """Return whether timm can apply the model's final norm to its maps."""
    return type(model).__name__ not in NO_FINAL_NORM


def largest_stride(model: Model) -> int:
    """Return the pixels that a cell of the coarsest map covers."""
    return int(max(info["reduction"] for info in model.feature_info))


def no_weight_decay(model: Model) -> set[str]:
    """Return names of the parameters that timm never decays, beside the one-dimensional ones."""
    return set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()


def layer_ids(model: Model) -> dict[str, int]:
    """Return the depth of every parameter by timm's grouping, without gaps; parts above the last block share it."""
    matcher = {**model.group_matcher(coarse=False), "above": [("", SAME_LAYER)]}
    groups = group_parameters(model, matcher, reverse=True)
    layers = sorted(set(groups.values()))
    return {name: layers.index(layer) for name, layer in groups.items()}


def _create(name: str, options: dict[str, Any]) -> Model:
    for flexible in ({"dynamic_img_size": True}, {"strict_img_size": False}, {}):
        try:
            return timm.create_model(name, **{"num_classes": 0, **flexible, **options})
        except TypeError as error:
            if not any(flag in str(error) for flag in flexible):
                raise
    raise AssertionError("the last attempt has no flag to refuse")
