"""`torchvision:NAME[?weights=IMAGENET1K_V2|FILE]`: torchvision's classification models without their classifier."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from umt.backbones.adapters.building import building
from umt.backbones.adapters.module_adapter import choose_preprocess
from umt.backbones.containers.folders import open_container
from umt.backbones.containers.parts import parts
from umt.backbones.contract import Features, Preprocess, preprocess_options
from umt.backbones.lean import uninitialised, with_weights
from umt.backbones.probing import MeasuredBackbone, measure
from umt.backbones.spec import WEIGHT_SUFFIXES, Spec
from umt.backbones.weights import LoadReport, load_weights
from umt.errors import BackboneError, SpecError, unknown_name

HUB = "https://download.pytorch.org"
CLASSIFIERS = ("fc", "classifier", "heads", "head")
STAGES = ("features", "trunk_output", "blocks")  # children that hold the stages of an architecture one after the other


class TorchvisionBackbone(MeasuredBackbone):
    """A model of torchvision; `pooled` is the input of its last linear layer, and a map is the last of its size."""

    def __init__(self, module: nn.Module, preprocess: Preprocess) -> None:
        _drop_classifier(module)
        name = type(module).__name__
        shape = measure(name, module, lambda images: extract(module, images), _multiples(module), preprocess.size)
        super().__init__(shape, preprocess)
        self.model = module
        self.spec = self.architecture = name

    @property
    def has_cls(self) -> bool:
        return isinstance(self.model, VisionTransformer) and bool(self.channels)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        every = extract(self.model, images)
        tokens = [every.map_cls[index] for index in maps] if every.map_cls and self.has_cls else None
        return Features(
            every.pooled, every.cls if self.has_cls else None, [every.maps[index] for index in maps], tokens
        )


def wrap(module: nn.Module, preprocess: str | Preprocess | None) -> TorchvisionBackbone:
    """Wrap a module; all of torchvision's weights have ImageNet's colours."""
    side = int(getattr(module, "image_size", 224))
    default = Preprocess(interpolation="bilinear", size=side)
    return TorchvisionBackbone(module, choose_preprocess(preprocess, default, module))


def load(spec: Spec) -> TorchvisionBackbone:
    """Build from a name; options are mean, std, size, weights (a file, or a name such as DEFAULT) and pretrained."""
    known = models.list_models(module=models)
    if spec.name not in known:
        raise unknown_name("torchvision model", spec.name, known, listing="umt backbones list torchvision")
    options = dict(spec.options)
    overrides = preprocess_options(options)
    weights, pretrained = options.pop("weights", None), options.pop("pretrained", True)
    if options:
        raise SpecError(f"backbone '{spec.text}': unknown option '{next(iter(options))}'; take weights or pretrained")
    if not pretrained and weights is not None and not _is_file(str(weights)):
        raise SpecError(
            f"backbone '{spec.text}': weights={weights} and pretrained=false exclude each other; leave one out"
        )
    file = Path(str(weights)) if weights is not None and _is_file(str(weights)) else None
    entry = _weights(spec.name, str(weights or "DEFAULT")) if pretrained and file is None else None
    empty = uninitialised() if file else nullcontext()
    with building(f"torchvision:{spec.name}", {}, hub=HUB if entry else None), redirect_stderr(StringIO()), empty:
        module = (
            with_weights(lambda: models.get_model(spec.name, weights=entry)) if entry else models.get_model(spec.name)
        )
    report = _loaded(module, file) if file else None
    backbone = TorchvisionBackbone(module, _preprocess(spec.name, entry).override(**overrides))
    backbone.load_report, backbone.architecture = report, spec.name
    return backbone


def _loaded(module: nn.Module, file: Path) -> LoadReport:
    """Load the state dict in a file that has most names of the module, and must have all."""
    names = module.state_dict().keys()
    states = [part.state for part in parts(open_container(file).content)]
    return load_weights(module, max(states, key=lambda state: len(state.keys() & names), default={}), source=str(file))


def extract(model: nn.Module, images: Tensor) -> Features:
    """Return the features of normalised images, with every map."""
    return _vit(model, images) if isinstance(model, VisionTransformer) else _cnn(model, images)


def _cnn(model: Any, images: Tensor) -> Features:
    outputs: list[Tensor] = []
    hooks = [
        stage.register_forward_hook(lambda _module, _input, output: outputs.append(output)) for stage in _stages(model)
    ]
    try:
        pooled = model(images)
    finally:
        for hook in hooks:
            hook.remove()
    maps = [_channels_first(model, fmap) for fmap in outputs]
    last_of_size = {fmap.shape[2:]: fmap for fmap in maps}
    return Features(pooled.flatten(1), None, list(last_of_size.values()))


def _vit(model: VisionTransformer, images: Tensor) -> Features:
    """Compute as torchvision does, with positions resampled to the size of the images."""
    patches = model.conv_proj(images)
    grid = list(patches.shape[2:])
    tokens = torch.cat([model.class_token.expand(len(images), -1, -1), patches.flatten(2).mT], dim=1)
    positions = resample_abs_pos_embed(model.encoder.pos_embedding, grid)
    tokens = model.encoder.dropout(tokens + positions)
    maps, classes = [], []
    for layer in model.encoder.layers:
        tokens = layer(tokens)
        normed = model.encoder.ln(tokens)
        classes.append(normed[:, 0])
        maps.append(normed[:, 1:].mT.unflatten(2, grid))
    return Features(classes[-1], classes[-1], maps, classes)


def _stages(model: nn.Module) -> list[nn.Module]:
    holder = next((getattr(model, name) for name in STAGES if hasattr(model, name)), None)
    if holder is not None:
        return list(holder.children())
    return [child for name, child in model.named_children() if name.startswith("layer")]


def _channels_first(model: nn.Module, fmap: Tensor) -> Tensor:
    """Return a map [B, C, H, W], with the final norm if it is of that width; Swin's have the channels last."""
    norm = getattr(model, "norm", None)
    if not isinstance(model, models.SwinTransformer) or norm is None:
        return fmap
    return (norm(fmap) if fmap.shape[-1] == norm.normalized_shape[0] else fmap).permute(0, 3, 1, 2)


def _multiples(module: nn.Module) -> list[int]:
    """Return sides to try, of which all strides are divisors: 32 pixels for CNNs, a patch for ViTs."""
    return [module.patch_size] if isinstance(module, VisionTransformer) else [32]


def _drop_classifier(module: nn.Module) -> None:
    """Put an identity in place of the last linear layer of the classifier."""
    name = next((name for name in CLASSIFIERS if hasattr(module, name)), None)
    if name is None:
        raise BackboneError(
            f"torchvision's {type(module).__name__} has no classifier; take a model that classifies images"
        )
    layers = [
        path for path, layer in module.named_modules() if path.split(".")[0] == name and isinstance(layer, nn.Linear)
    ]
    if layers:
        parent, _, last = layers[-1].rpartition(".")
        setattr(module.get_submodule(parent), last, nn.Identity())


def _weights(name: str, text: str) -> Any:
    """Return the entry of torchvision's table of weights."""
    table = models.get_model_weights(name)
    known = ["DEFAULT", *(entry.name for entry in table)]
    if text not in known:
        raise unknown_name(f"weights of torchvision's {name}", text, known)
    return table[text]


def _preprocess(name: str, weights: Any) -> Preprocess:
    """Return what the weights are evaluated with, or those that are the default of the architecture."""
    transform = (weights or _weights(name, "DEFAULT")).transforms()
    crop, resize = transform.crop_size[0], transform.resize_size[0]
    return Preprocess(tuple(transform.mean), tuple(transform.std), transform.interpolation.value, crop / resize, crop)


def _is_file(weights: str) -> bool:
    return weights.endswith(WEIGHT_SUFFIXES) or Path(weights).is_file()
