"""timm models that are made for one size of images: made again for each other size, with the same weights."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from math import isqrt
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import interpolate

from umt.backbones.contract import Features
from umt.errors import BackboneError

Model = Any  # a timm model
Build = Callable[[tuple[int, int]], Model]  # the same architecture for images of a height and a width
Extract = Callable[[Model, Tensor, Sequence[int]], Features]
MAX_CACHED_SIZES = 8  # models that are kept; each is as large as its tables
POSITIONS = "pos_embed"  # in the names of tables of absolute positions
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
            self.models[size] = _Resized(self.build(size), size, self.extract)
            if len(self.models) > MAX_CACHED_SIZES:
                self.models.popitem(last=False)
        self.models.move_to_end(size)
        return self.models[size]


class _Resized(nn.Module):
    """A model for another size, whose own weights are never used."""

    def __init__(self, model: Model, size: tuple[int, int], extract: Extract) -> None:
        super().__init__()
        self.model = model
        self.size = size
        self.run = extract
        self.known: tuple[Any, dict[str, Tensor]] = (None, {})  # tables, and what they were resampled from

    def forward(self, images: Tensor, maps: Sequence[int]) -> Features:
        return self.run(self.model, images, maps)

    def state_of(self, original: Model) -> dict[str, Tensor]:
        """Return the original's weights under this model's names, with resampled tables, which carry gradients."""
        state = {**dict(original.named_parameters(remove_duplicate=False)), **_persistent_buffers(original)}
        tables = self._tables(original, state)
        return {f"model.{name}": value for name, value in {**state, **tables}.items()}

    def _tables(self, original: Model, state: State) -> dict[str, Tensor]:
        """Return the tables that this size needs, computed again if a weight has changed."""
        grad = torch.is_grad_enabled()
        version = tuple((id(value), value._version, value.device) for value in state.values())
        if not grad and self.known[0] == version:
            return self.known[1]
        tables = self._converted(original, state) if grad else self._converted(original, _detached(state))
        if not grad:
            self.known = (version, tables)
        return tables

    def _converted(self, original: Model, state: State) -> dict[str, Tensor]:
        target = self.model.state_dict()
        convert = getattr(sys.modules[type(self.model).__module__], "checkpoint_filter_fn", None)
        try:
            converted = convert(dict(state), self.model) if convert else state
        except RuntimeError:  # some resample through NumPy, which takes no gradient
            converted = convert(_detached(state), self.model) if convert else state
        fitting = {name: _fitted(name, converted.get(name), value, self.size) for name, value in target.items()}
        return {name: value for name, value in fitting.items() if value is not state.get(name)}


def native_size(model: Model) -> tuple[int, int]:
    """Return height and width that a model is made for: as it was asked for, as it says, or its weights' size."""
    requested = getattr(model, "_model_args", {}).get("img_size")
    patches = getattr(getattr(model, "patch_embed", None), "img_size", None)
    size = requested or patches or getattr(model, "img_size", None) or model.pretrained_cfg["input_size"][1:]
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def _fitted(name: str, table: Tensor | None, target: Tensor, size: tuple[int, int]) -> Tensor:
    """Return a table in the shape that is wanted, resampled if it holds absolute positions and timm has left it.

    Raises BackboneError for other tables, as biases between positions.
    """
    if table is not None and table.shape == target.shape:
        return table
    if table is None or POSITIONS not in name or table.ndim != target.ndim:
        raise BackboneError(f"'{name}' is a table for one size of images, which cannot be resampled; keep that size")
    if table.ndim == 4:
        last = table.shape[1] == table.shape[2]  # channels last: the two equal sides of a square table come first
        planes, rows, columns = (table.permute(0, 3, 1, 2), *target.shape[1:3]) if last else (table, *target.shape[2:])
        planes = interpolate(planes, (rows, columns), mode="bicubic", antialias=True, align_corners=False)
        return planes.permute(0, 2, 3, 1) if last else planes
    prefix = 0 if isqrt(table.shape[1]) ** 2 == table.shape[1] else 1  # the entry of a class token
    cells = target.shape[1] - prefix
    rows = round((cells * size[0] / size[1]) ** 0.5)
    return resample_abs_pos_embed(table, [rows, cells // rows], num_prefix_tokens=prefix)


def _persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    stored = model.state_dict(keep_vars=True)
    return {name: value for name, value in model.named_buffers(remove_duplicate=False) if name in stored}


def _detached(state: State) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in state.items()}
