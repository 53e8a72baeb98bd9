"""timm models that are made for one size of images: made again for each other size, with the same weights."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from umt.backbones.contract import Features
from umt.errors import BackboneError

Model = Any  # a timm model
Build = Callable[[tuple[int, int]], Model]  # the same architecture for images of a height and a width
Extract = Callable[[Model, Tensor, Sequence[int]], Features]
MOST_SIZES = 8  # models that are kept; each is as large as its tables
State = Mapping[str, Tensor]


class Sizes:
    """Models of one architecture by the size of their images. Weights stay those of the original one."""

    def __init__(self, model: Model, build: Build, extract: Extract) -> None:
        self.build = build
        self.extract = extract
        self.native = native_size(model)
        self.models: OrderedDict[tuple[int, int], _Resized] = OrderedDict()

    def features(self, model: Model, images: Tensor, maps: Sequence[int]) -> Features:
        """Return features of images of any size; tables of positions are resampled as timm does for weights."""
        size = (images.shape[2], images.shape[3])
        if size == self.native:
            return self.extract(model, images, maps)
        resized = self._resized(size).to(images.device).train(model.training)
        features: Features = functional_call(resized, resized.state_of(model), (images, maps))
        return features

    def _resized(self, size: tuple[int, int]) -> _Resized:
        if size not in self.models:
            self.models[size] = _Resized(self.build(size), self.extract)
            if len(self.models) > MOST_SIZES:
                self.models.popitem(last=False)
        self.models.move_to_end(size)
        return self.models[size]


class _Resized(nn.Module):
    """A model for another size, whose own weights are never used."""

    def __init__(self, model: Model, extract: Extract) -> None:
        super().__init__()
        self.model = model
        self.run = extract
        self.known: tuple[Any, dict[str, Tensor]] = (None, {})  # tables, and what they were resampled from

    def forward(self, images: Tensor, maps: Sequence[int]) -> Features:
        return self.run(self.model, images, maps)

    def state_of(self, original: Model) -> dict[str, Tensor]:
        """Return the original's weights under this model's names, with resampled tables, which carry gradients."""
        given = {**dict(original.named_parameters()), **_persistent_buffers(original)}
        tables = self._tables(original, given)
        return {f"model.{name}": value for name, value in {**given, **tables}.items()}

    def _tables(self, original: Model, given: State) -> dict[str, Tensor]:
        """Return the tables that this size needs, computed again if a weight has changed."""
        grad = torch.is_grad_enabled()
        version = tuple((id(value), value._version, value.device) for value in given.values())
        if not grad and self.known[0] == version:
            return self.known[1]
        tables = self._converted(original, given) if grad else self._converted(original, _detached(given))
        if not grad:
            self.known = (version, tables)
        return tables

    def _converted(self, original: Model, given: State) -> dict[str, Tensor]:
        wanted = self.model.state_dict()
        convert = getattr(sys.modules[type(self.model).__module__], "checkpoint_filter_fn", None)
        try:
            found = convert(dict(given), self.model) if convert else given
        except RuntimeError:  # some resample through NumPy, which takes no gradient
            found = convert(_detached(given), self.model) if convert else given
        for name, value in wanted.items():
            if name not in found or found[name].shape != value.shape:
                raise BackboneError(f"'{name}' is a table for one size of images, which timm cannot resample")
        return {name: found[name] for name in wanted if found[name] is not given.get(name)}


def native_size(model: Model) -> tuple[int, int]:
    """Return height and width that a model is made for."""
    patches = getattr(model, "patch_embed", None)
    size = (
        getattr(patches, "img_size", None) or getattr(model, "img_size", None) or model.pretrained_cfg["input_size"][1:]
    )
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    stored = model.state_dict(keep_vars=True)
    return {name: value for name, value in model.named_buffers() if name in stored}


def _detached(state: State) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in state.items()}
