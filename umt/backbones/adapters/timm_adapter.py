"""`timm:NAME[?weights=FILE&...]`: any timm model as a Backbone, through `forward_intermediates`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import partial
from typing import Any

import timm
from huggingface_hub import constants
from timm.data import resolve_model_data_config
from timm.models import group_parameters
from torch import Tensor, nn

from umt.backbones.adapters.building import building
from umt.backbones.adapters.module_adapter import choose_preprocess
from umt.backbones.adapters.positions import resample_as, summarise_by
from umt.backbones.adapters.timm_sizes import Build, Sizes, native_size
from umt.backbones.contract import Features, Preprocess, preprocess_options
from umt.backbones.lean import with_weights
from umt.backbones.probing import MeasuredBackbone, Shape, measure
from umt.backbones.spec import Spec
from umt.backbones.suggestions import unknown_backbone
from umt.errors import BackboneError

Model = Any  # a timm model: nn.Module declares none of the attributes that timm adds
NO_FINAL_NORM = ("Hiera", "HieraDet")  # the norm is part of their head, and timm refuses norm=True
LOCAL = "local-dir:"  # a folder in timm's format, as `umt export` writes it
SOURCES = (LOCAL, "hf-hub:")  # of names that timm resolves itself
DINOV3_VITS = "vit_*_dinov3*"  # evaluated on the class token by their authors, where timm averages patches
SAME_LAYER = (99999,)  # in timm's group matchers: the layer of the module before


class TimmBackbone(MeasuredBackbone):
    """A timm model without its classifier."""

    def __init__(self, model: Model, preprocess: Preprocess, rebuild: Build | None = None) -> None:
        """rebuild: makes the same architecture for another size of images, if this model takes one size alone."""
        sizes, shape = _measured(model, preprocess, rebuild)
        super().__init__(shape, preprocess)
        self.model = model
        self.sizes = sizes
        self.architecture = model.pretrained_cfg["architecture"]

    @property
    def has_cls(self) -> bool:
        return bool(self.channels) and has_cls(self.model)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        if self.sizes is None:
            return extract(self.model, images, maps)
        return self.sizes.features(self.model, images, maps)

    def layer_ids(self) -> dict[str, int]:
        if not _matcher(self.model):
            return super().layer_ids()
        return {f"model.{name}": layer for name, layer in layer_ids(self.model).items()}

    def no_weight_decay(self) -> set[str]:
        return {f"model.{name}" for name in no_weight_decay(self.model)}


def _measured(model: Model, preprocess: Preprocess, rebuild: Build | None) -> tuple[Sizes | None, Shape]:
    """Return the shapes of a model as it is, or if it takes one size alone and can be made for others, of those."""

    def shape_of(sizes: Sizes | None) -> Shape:
        every_map = range(len(model.feature_info))
        run = partial(sizes.features, model) if sizes else partial(extract, model)
        return measure(
            f"timm:{model.pretrained_cfg['architecture']}",
            model,
            lambda images: run(images, every_map),
            multiples=[largest_stride(model), preprocess.size],
            native=max(preprocess.size, model.pretrained_cfg["input_size"][-1]),
            only=native_size(model)[0],
        )

    shape = shape_of(None)
    if shape.fixed is None or rebuild is None:
        return None, shape
    sizes = Sizes(model, rebuild, extract)
    resized = shape_of(sizes)
    return (None, shape) if resized.fixed is not None else (sizes, resized)


def load(spec: Spec) -> TimmBackbone:
    """Build from a name; options are those of all images, pool, pretrained, and any argument of the timm model.

    Weights come from timm's hub unless `pretrained=false` (random, seed 0).
    """
    return build(spec.name, {"pretrained": True, **spec.options})


def wrap(module: nn.Module, preprocess: str | Preprocess | None) -> TimmBackbone:
    """Wrap a model that timm has built, without its classifier; preprocessing is what its configuration says."""
    model: Model = module
    model.reset_classifier(0)
    _with_published_pooling(model)
    options = {key: value for key, value in getattr(model, "_model_args", {}).items() if key != "num_classes"}
    rebuild = partial(_rebuilt, model.pretrained_cfg["architecture"], options)
    return TimmBackbone(model, choose_preprocess(preprocess, _preprocess_of(model), module), rebuild)


def build(name: str, options: Mapping[str, Any]) -> TimmBackbone:
    """Build the backbone of a timm name for any input size; preprocessing is timm's for the weights by default."""
    rest = dict(options)
    overrides, pool = preprocess_options(rest), rest.pop("pool", None)
    model = create_model(name, rest)
    preprocess = _preprocess_of(model)
    preprocess = replace(preprocess, size=rest.get("img_size") or preprocess.size)
    architecture = model.pretrained_cfg["architecture"]
    model_options = {key: value for key, value in rest.items() if key != "pretrained"}
    backbone = TimmBackbone(model, preprocess.override(**overrides), partial(_rebuilt, architecture, model_options))
    backbone.use_pool(pool)
    return backbone


def _rebuilt(architecture: str, options: Mapping[str, Any], size: tuple[int, int]) -> Model:
    with building(f"timm:{architecture}", options):
        return _adjusted(architecture, {**options, "img_size": size})


def _preprocess_of(model: Model) -> Preprocess:
    config = resolve_model_data_config(model)
    return Preprocess(
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        crop_pct=config["crop_pct"],
        size=config["input_size"][-1],
    )


def create_model(name: str, options: Mapping[str, Any]) -> Model:
    """Create a timm model without classifier."""
    if not name.startswith(SOURCES) and not timm.is_model(name.partition(".")[0]):
        raise unknown_backbone("timm model", name, timm.list_models(), listing="umt backbones list timm")
    hub = constants.ENDPOINT if options.get("pretrained") and not name.startswith(LOCAL) else None
    with building(f"timm:{name}", options, hub=hub):
        model = _adjusted(name, options)
    if not model.feature_info:
        raise BackboneError(
            f"timm:{name} with options {dict(options)}: has no block that gives a map; take another model"
        )
    if not hasattr(model, "forward_intermediates"):
        raise BackboneError(f"timm:{name} is not supported: timm gives it no forward_intermediates; take another model")
    return model if "global_pool" in options else _with_published_pooling(model)


def _with_published_pooling(model: Model) -> Model:
    """Return a model whose global feature is the one that the authors of its weights evaluate."""
    if fnmatch(model.pretrained_cfg["architecture"], DINOV3_VITS):
        model.global_pool = "token"
    return model


def _adjusted(name: str, options: Mapping[str, Any]) -> Model:
    """Create a model with what its authors' code has and timm's does not: their resampling, their epsilon of norms."""
    rest = dict(options)
    positions, eps, summary = (rest.pop(option, None) for option in ("positions", "layer_norm_eps", "summary_tokens"))
    create = partial(_create, name, rest)
    model = with_weights(create) if rest.get("pretrained") else create()
    if positions is not None:
        resample_as(model, positions)
    if summary is not None:
        summarise_by(model, summary)
    if eps is not None:
        for module in model.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = float(eps)
    return model


def extract(model: Model, images: Tensor, maps: Sequence[int]) -> Features:
    """Return features of a timm model for normalised images; `maps` holds non-negative indices."""
    last = len(model.feature_info) - 1  # always asked for: some models stop at the last map that is wanted
    options: dict[str, Any] = {"indices": sorted({*maps, last}), "norm": has_final_norm(model)}
    if has_cls(model):
        options["return_prefix_tokens"] = True
    final, fmaps = model.forward_intermediates(images, **options)
    by_index = dict(zip(options["indices"], fmaps, strict=True))
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


def _matcher(model: Model) -> Mapping[str, Any]:
    """Return timm's table of layers; empty for models that have none, or a function in its place."""
    matcher = model.group_matcher(coarse=False) if hasattr(model, "group_matcher") else {}
    return matcher if isinstance(matcher, Mapping) else {}


def layer_ids(model: Model) -> dict[str, int]:
    """Return the depth of every parameter by timm's grouping, without gaps; parts above the last block share it."""
    matcher = {**_matcher(model), "above": [("", SAME_LAYER)]}
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
