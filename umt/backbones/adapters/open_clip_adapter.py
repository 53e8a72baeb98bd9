"""`open_clip:MODEL/PRETRAINED[?weights=FILE&...]`: the image tower of an open_clip model as a Backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isqrt
from typing import Any

import open_clip
from huggingface_hub import constants
from open_clip.model import get_model_preprocess_cfg
from torch import Tensor, nn
from torch.func import functional_call

from umt.backbones.adapters.building import building
from umt.backbones.adapters.open_clip_towers import describe, resampled
from umt.backbones.contract import Features, Preprocess, preprocess_options
from umt.backbones.lean import with_weights
from umt.backbones.probing import MeasuredBackbone, measure
from umt.backbones.spec import Spec
from umt.errors import SpecError, unknown_name


class OpenClipBackbone(MeasuredBackbone):
    """An image tower; `pooled` is its image encoding, not yet scaled to unit length."""

    def __init__(self, name: str, visual: nn.Module, preprocess: Preprocess) -> None:
        model = _AnySize(visual)
        shape = measure(
            name,
            model,
            lambda images: model.features(images, range(model.tower.maps)),
            multiples=[model.tower.multiple],
            native=preprocess.size,
        )
        super().__init__(shape, preprocess)
        self.model = model
        self.architecture = name.removeprefix("open_clip:").partition("/")[0]

    @property
    def has_cls(self) -> bool:
        return bool(self.channels) and self.model.tower.has_cls

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        return self.model.features(images, maps)

    def layer_ids(self) -> dict[str, int]:
        return {f"model.visual.{name}": layer for name, layer in self.model.tower.layer_ids.items()}

    def no_weight_decay(self) -> set[str]:
        return {f"model.visual.{name}" for name in self.model.tower.no_weight_decay}


class _AnySize(nn.Module):
    """A tower whose position embedding follows the size of the images."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual
        self.tower = describe(visual)

    def features(self, images: Tensor, maps: Sequence[int]) -> Features:
        """Return features of normalised images; `maps` holds non-negative indices."""
        indices = sorted({*maps, self.tower.maps - 1})
        outputs = functional_call(self, self._positions(images), (images, indices))
        grids = dict(zip(indices, outputs["image_intermediates"], strict=True))
        pooled, fmaps = outputs["image_features"], [grids[index] for index in maps]
        if not self.tower.has_cls:
            return Features(pooled, None, fmaps)
        cls = dict(zip(indices, (tokens[:, 0] for tokens in outputs["image_intermediates_prefix"]), strict=True))
        return Features(pooled, cls[indices[-1]], fmaps, [cls[index] for index in maps])

    def forward(self, images: Tensor, indices: list[int]) -> dict[str, Any]:
        """Return the outputs of open_clip; a forward, because only that can be called with an exchanged parameter."""
        options = {"output_extra_tokens": True} if self.tower.has_cls else {}
        tower: Any = self.visual
        outputs: dict[str, Any] = tower.forward_intermediates(
            images, indices=indices, normalize_intermediates=self.tower.norm, **options
        )
        return outputs

    def _positions(self, images: Tensor) -> dict[str, Tensor]:
        if self.tower.position is None:
            return {}
        grid = [side // self.tower.multiple for side in images.shape[2:]]
        positions = self.visual.get_parameter(self.tower.position)
        return {f"visual.{self.tower.position}": resampled(positions, grid, self.tower.prefix)}


def load(spec: Spec) -> OpenClipBackbone:
    """Build `MODEL/PRETRAINED`; options are those of all images, pretrained, and any of open_clip's create_model.

    Weights come from open_clip's hub by the tag PRETRAINED; with `pretrained=false` they are random (seed 0).
    """
    _refuse_random(spec, bool(spec.options.get("pretrained", True)))
    backbone = build(spec.name, spec.options)
    backbone.language = spec.text if backbone.pool is None else None
    return backbone


def build(name: str, options: Mapping[str, Any]) -> OpenClipBackbone:
    """Build the image tower of `MODEL/PRETRAINED`."""
    rest = {"pretrained": True, **options}
    overrides, pool = preprocess_options(rest), rest.pop("pool", None)
    model = create(name, rest.pop("pretrained"), rest)
    backbone = OpenClipBackbone(f"open_clip:{name}", model.visual, preprocess_of(model).override(**overrides))
    backbone.use_pool(pool)
    return backbone


def _refuse_random(spec: Spec, pretrained: bool) -> None:
    """Raise UMTError for a name without weights that does not ask for random ones."""
    architecture, _, tag = spec.name.partition("/")
    if pretrained and not tag and architecture in open_clip.list_models():
        tags = open_clip.list_pretrained_tags_by_model(architecture)
        tagged = f"one of its tags, open_clip:{architecture}/TAG ({', '.join(tags)}), or " if tags else ""
        raise SpecError(
            f"backbone '{spec.text}' names no weights; add {tagged}?weights=FILE, or ?pretrained=false for random ones"
        )


def create(name: str, pretrained: bool, options: Mapping[str, Any]) -> Any:
    """Create open_clip's `MODEL/PRETRAINED`, image and text tower; UMTError if the name is unknown or the hub fails."""
    architecture, _, tag = name.partition("/")
    if architecture not in open_clip.list_models():
        raise unknown_name(
            "open_clip model", architecture, open_clip.list_models(), listing="umt backbones list open_clip"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag and tag not in tags:
        raise unknown_name(f"weights of open_clip's {architecture}", tag, tags)
    hub = constants.ENDPOINT if tag and pretrained else None
    with building(f"open_clip:{name}", options, hub=hub):
        settings = {**_belonging_to(architecture, tag), **options, "weights_only": True}
        if not (tag and pretrained):
            return open_clip.create_model(architecture, **settings)
        return with_weights(lambda: open_clip.create_model(architecture, pretrained=tag, **settings))


def _belonging_to(architecture: str, tag: str) -> dict[str, Any]:
    """Return activation and normalisation of the tag's weights, from any source; open_clip only warns of the first."""
    config = open_clip.get_pretrained_cfg(architecture, tag) or {}
    preprocess = {name: config[name] for name in ("mean", "std", "interpolation", "resize_mode") if name in config}
    return {"force_quick_gelu": bool(config.get("quick_gelu", False)), "force_preprocess_cfg": preprocess}


def preprocess_of(model: nn.Module) -> Preprocess:
    """Return the preprocessing of an open_clip model."""
    config = get_model_preprocess_cfg(model)
    size = config["size"]
    return Preprocess(
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation=config["interpolation"],
        crop_pct=1.0,
        size=size if isinstance(size, int) else size[0],
    )


def fit_positions(state: dict[str, Tensor], visual: nn.Module) -> dict[str, Tensor]:
    """Return a state dict whose positions are resampled to the grid of a tower."""
    tower = describe(visual)
    if tower.position not in state:
        return state
    side = isqrt(visual.get_parameter(tower.position).shape[-2] - tower.prefix)
    return {**state, tower.position: resampled(state[tower.position], [side, side], tower.prefix)}
