"""Any `nn.Module` as a Backbone: timm's, torchvision's and Hugging Face's by looking at it, others by `features`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from typing import Any, TypeAlias

from torch import Tensor, nn

from umt.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, RGB, Backbone, Features, Preprocess
from umt.backbones.probing import MeasuredBackbone, measure
from umt.errors import BackboneError, unknown_name

# From a module and normalised images [B, 3, H, W] to a pooled feature [B, D], or to a mapping or an object with
# `pooled` and, if there are some, `maps` (all of them), `map_cls` and `cls`.
FeaturesOf: TypeAlias = Callable[[nn.Module, Tensor], Any]
COLOURS: Mapping[str, tuple[RGB, RGB]] = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
# Classes that only train or compile a module, and their name for it.
WRAPPERS = {"DistributedDataParallel": "module", "DataParallel": "module", "OptimizedModule": "_orig_mod"}
REMEDY = (
    "pass features=lambda module, images: ..., which gives pooled features [B, D] of normalised images, and "
    "preprocess='imagenet', 'clip' or Preprocess(...)"
)


def wrap_module(
    module: nn.Module, preprocess: str | Preprocess | None = None, features: FeaturesOf | None = None
) -> Backbone:
    """Return a module as a Backbone, which owns it from now on and leaves its classifier out.

    preprocess: "imagenet" or "clip" for mean and standard deviation, or everything; None for what the module itself
    says. features: how to compute features of a module that is not of timm, torchvision, Hugging Face or DINOv2's hub.

    Raises UMTError if the module is not recognised and `features` is not given.
    """
    if isinstance(module, Backbone):
        return module
    module = unwrapped(module)
    if features is not None:
        return ModuleBackbone(module, choose_preprocess(preprocess, None, module), features).train(module.training)
    for recognised, target in KINDS:
        if recognised(module):
            name, _, wrap = target.partition(":")
            backbone: Backbone = getattr(import_module(name), wrap)(module, preprocess)
            return backbone.train(module.training)
    raise BackboneError(f"module {type(module).__name__} is of no library that is known here; {REMEDY}")


def choose_preprocess(preprocess: str | Preprocess | None, default: Preprocess | None, module: nn.Module) -> Preprocess:
    """Return the preprocessing that was asked for, on top of the module's own; UMTError if nobody knows it."""
    if isinstance(preprocess, Preprocess):
        return preprocess
    if preprocess is None and default is None:
        raise BackboneError(
            f"module {type(module).__name__} does not say how its images are normalised; pass preprocess='imagenet', "
            "'clip' or Preprocess(mean=..., std=...)"
        )
    if preprocess is None:
        return default or Preprocess()
    if preprocess not in COLOURS:
        raise unknown_name("preprocessing", preprocess, COLOURS)
    mean, std = COLOURS[preprocess]
    return replace(default or Preprocess(), mean=mean, std=std)


class ModuleBackbone(MeasuredBackbone):
    """A module whose features are computed by a function of its owner."""

    def __init__(self, module: nn.Module, preprocess: Preprocess, features: FeaturesOf) -> None:
        name = type(module).__name__
        multiples = [preprocess.size_multiple, preprocess.size]
        shape = measure(
            f"module {name}",
            module,
            lambda images: features_of(name, features(module, images)),
            multiples,
            preprocess.size,
        )
        super().__init__(shape, preprocess)
        self.model = module
        self.features = features
        self.spec = self.architecture = name
        self._has_cls = shape.has_cls

    @property
    def has_cls(self) -> bool:
        return self._has_cls

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        every = features_of(self.spec, self.features(self.model, images))
        return picked(every, maps, self.has_cls)


def features_of(name: str, output: Any) -> Features:
    """Return the output of a `features` function as Features; UMTError if it has no pooled feature [B, D]."""
    if isinstance(output, Tensor):
        output = {"pooled": output}
    get = output.get if isinstance(output, Mapping) else lambda key: getattr(output, key, None)
    pooled, cls, maps, tokens = (get(key) for key in ("pooled", "cls", "maps", "map_cls"))
    if not isinstance(pooled, Tensor) or pooled.ndim != 2:
        description = f"of shape {tuple(pooled.shape)}" if isinstance(pooled, Tensor) else f"a {type(pooled).__name__}"
        raise BackboneError(
            f"features of module {name}: pooled is {description}, not a tensor [B, D]; pool it in `features`"
        )
    maps = [maps] if isinstance(maps, Tensor) else list(maps or ())
    if tokens is None and cls is not None and len(maps) == 1:
        tokens = [cls]
    return Features(pooled, None if tokens is None else tokens[-1], maps, None if tokens is None else list(tokens))


def picked(every: Features, maps: Sequence[int], has_cls: bool) -> Features:
    """Return the features with the selected maps alone."""
    fmaps = [every.maps[index] for index in maps]
    if not has_cls or every.map_cls is None:
        return Features(every.pooled, None, fmaps)
    return Features(every.pooled, every.cls, fmaps, [every.map_cls[index] for index in maps])


class LayersBackbone(MeasuredBackbone):
    """A model in the manner of DINOv2's and DINOv3's hub: `get_intermediate_layers` gives maps and class tokens."""

    def __init__(self, module: Any, preprocess: str | Preprocess | None) -> None:
        # all public weights of this kind have ImageNet's colours
        known = choose_preprocess(preprocess, Preprocess(), module)
        blocks = len(module.blocks) if hasattr(module, "blocks") else module.n_blocks
        size = int(getattr(module, "patch_size", known.size_multiple))
        name = type(module).__name__
        shape = measure(
            f"module {name}", module, lambda images: _layers(module, images, range(blocks)), [size], known.size
        )
        super().__init__(shape, known)
        self.model = module
        self.spec = self.architecture = name

    @property
    def has_cls(self) -> bool:
        return bool(self.channels)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        return _layers(self.model, images, maps, self.depth)


def _layers(model: Any, images: Tensor, maps: Sequence[int], depth: int = 0) -> Features:
    indices = sorted({*maps, (depth or len(maps)) - 1})
    layers = model.get_intermediate_layers(images, n=indices, reshape=True, return_class_token=True, norm=True)
    by_index = dict(zip(indices, layers, strict=True))
    cls = by_index[indices[-1]][1]
    return Features(cls, cls, [by_index[index][0] for index in maps], [by_index[index][1] for index in maps])


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the module inside of wrappers."""
    name = WRAPPERS.get(type(module).__name__)
    return unwrapped(getattr(module, name)) if name else module


def _is_timm(module: nn.Module) -> bool:
    return all(hasattr(module, name) for name in ("forward_intermediates", "pretrained_cfg", "feature_info"))


def _is_torchvision(module: nn.Module) -> bool:
    return any(kind.__module__.startswith("torchvision.models.") for kind in type(module).__mro__)


def _is_transformers(module: nn.Module) -> bool:
    return any(kind.__module__ == "transformers.modeling_utils" for kind in type(module).__mro__)


def _has_layers(module: nn.Module) -> bool:
    """Return whether the module has the method of DINOv2's hub; DINO's own of this name gives plain tokens."""
    method = getattr(module, "get_intermediate_layers", None)
    parameters = {"n", "reshape", "return_class_token", "norm"}
    return callable(method) and parameters <= inspect.signature(method).parameters.keys()


KINDS: tuple[tuple[Callable[[nn.Module], bool], str], ...] = (
    (_is_timm, "umt.backbones.adapters.timm_adapter:wrap"),
    (_is_torchvision, "umt.backbones.adapters.torchvision_adapter:wrap"),
    (_is_transformers, "umt.backbones.adapters.hf_adapter:wrap"),
    (_has_layers, "umt.backbones.adapters.module_adapter:LayersBackbone"),
)
