"""The Backbone contract: the interface that lets one harness evaluate every model.

A plug-in subclasses `Backbone`, passes its shape declarations to `__init__` and implements `extract`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor, nn

from umt.backbones.spec import Spec
from umt.backbones.weights import LoadReport
from umt.errors import BackboneError, SizeError, SpecError

RGB = tuple[float, float, float]
IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
MAX_SIDE = 8192  # pixels that weights may call native: a backbone is tried at that size
INTERPOLATIONS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")  # Pillow's
MIN_CROP_PCT = 0.1  # the image around the crop has a side of one over it
POOLS = ("cls", "mean")  # global features that `pool=` may choose instead of the model's own
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocess:
    """Preprocessing as the weights expect it; it travels with them.

    `mean` and `std` are for RGB in [0, 1]; `size` is the native side in pixels, `size_multiple` the divisor of both
    sides of an input, `crop_pct` the share of the shorter side that the centre crop of a test image keeps.
    """

    mean: RGB = IMAGENET_MEAN
    std: RGB = IMAGENET_STD
    interpolation: str = "bicubic"
    crop_pct: float = 0.875
    size: int = 224
    size_multiple: int = 32

    def override(self, **options: Any) -> Preprocess:
        """Return a copy with the values of a backbone's name; one number stands for all three channels."""
        read = {name: IMAGE_OPTIONS[name](value) for name, value in options.items() if value is not None}
        return replace(self, **read)


def _rgb(colour: Any) -> RGB:
    values = colour if isinstance(colour, (list, tuple)) else [colour] * 3
    try:
        red, green, blue = (float(value) for value in values)
    except (TypeError, ValueError, OverflowError):
        raise SpecError(f"mean and std take one number or a list of three, not {colour!r}") from None
    return red, green, blue


def _side(value: Any) -> int:
    if type(value) is not int or not 0 < value <= MAX_SIDE:
        raise SpecError(f"size takes a side in pixels from 1 to {MAX_SIDE}, not {str(value)[:60]!r}")
    return value


def _interpolation(value: Any) -> str:
    if value not in INTERPOLATIONS:
        raise SpecError(f"interpolation takes one of {', '.join(INTERPOLATIONS)}, not {str(value)[:60]!r}")
    return str(value)


def _crop(value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not MIN_CROP_PCT <= value <= 1:
        raise SpecError(f"crop_pct takes a share from {MIN_CROP_PCT} to 1, not {str(value)[:60]!r}")
    return float(value)


# Options of the name of every backbone, with their readers.
IMAGE_OPTIONS: Mapping[str, Callable[[Any], Any]] = {
    "mean": _rgb,
    "std": _rgb,
    "interpolation": _interpolation,
    "crop_pct": _crop,
    "size": _side,
}


def preprocess_options(options: dict[str, Any]) -> dict[str, Any]:
    """Take the options that `Preprocess.override` understands out of the options of a backbone's name."""
    return {name: options.pop(name) for name in IMAGE_OPTIONS if name in options}


def round_up(side: int, size_multiple: int) -> int:
    """Return the side of an image that a backbone takes: 512 pixels become 518 for patches of 14."""
    return -(-side // size_multiple) * size_multiple


@dataclass
class Features:
    """The outputs of a backbone for a batch of B images, final norm applied.

    pooled: global feature [B, D].
    cls: class token [B, C] with the width of the last map, None if the architecture has none.
    maps: spatial features [B, C_i, H_i, W_i]; fine to coarse for CNNs, shallow to deep for ViTs.
    map_cls: the class token beside each map [B, C_i], None if the architecture has none.
    """

    pooled: Tensor
    cls: Tensor | None
    maps: list[Tensor]
    map_cls: list[Tensor] | None = None

    def float(self) -> Features:
        """Return the same features in float32."""
        cls, tokens = self.cls, self.map_cls
        return Features(
            self.pooled.float(),
            None if cls is None else cls.float(),
            [fmap.float() for fmap in self.maps],
            None if tokens is None else [token.float() for token in tokens],
        )

    def summary(self, index: int) -> Tensor:
        """Return the summary token [B, C_i] of map `index`: its class token, else the pooled map (paper A.1)."""
        if self.map_cls is not None:
            return self.map_cls[index]
        return self.maps[index].mean(dim=(2, 3))


class Backbone(nn.Module):
    """A feature extractor for RGB images in [0, 1], of shape [B, 3, H, W].

    Normalisation happens here, once, and nowhere else. H and W are any multiples of `preprocess.size_multiple`; if
    `fixed`, both are `preprocess.size`.
    channels, strides: of each map that `forward` can return; none if `no_maps` says why there are none.
    dim: width D of `pooled`. architecture: its name in tables; by default the name of the class.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocess: Preprocess, *, channels: Sequence[int], strides: Sequence[int], dim: int) -> None:
        super().__init__()
        self.use_preprocess(preprocess)
        self.channels = tuple(channels)
        self.strides = tuple(strides)
        self.dim = dim
        self.spec = type(self).__name__
        self.architecture = type(self).__name__
        self.pool: str | None = None  # the global feature, if it is not the model's own
        self.load_report: LoadReport | None = None  # effect of a weight file, None if no file was read here
        self.language: str | None = None  # the open_clip model whose texts `pooled` can be compared with
        self.recognised: Mapping[str, str] = {}  # facts from the recognition of its checkpoint, and the reasons
        self.built_as: Spec | None = None  # the architecture's name, if a file was recognised
        self.provenance: Mapping[str, Any] = {}  # plain values: how it was trained, as far as its file says
        self.fixed = False  # true if the architecture takes images of its native size and no others
        self.no_maps: str | None = None  # the reason if it has none
        self.notes: tuple[str, ...] = ()  # facts that its results must carry: random weights, code of others
        self.known_hash: str | None = None  # of weights that were hashed before, until it trains
        self.weights_dtype: torch.dtype | None = None  # if it is not float32, as images and features are in any case

    def use_preprocess(self, preprocess: Preprocess) -> None:
        """Take the preprocessing of other weights; `size_multiple` must stay a value that the architecture admits."""
        self.preprocess = preprocess
        self.register_buffer(
            "mean", torch.tensor(preprocess.mean, dtype=torch.float32).view(1, 3, 1, 1), persistent=False
        )
        self.register_buffer(
            "std", torch.tensor(preprocess.std, dtype=torch.float32).view(1, 3, 1, 1), persistent=False
        )

    def use_pool(self, pool: str | None) -> None:
        """Take another global feature: the class token, or the mean of the last map; None keeps the model's own."""
        if pool is None:
            return
        if pool not in POOLS or (pool == "cls" and not self.has_cls):
            pools = POOLS if self.has_cls else POOLS[1:]
            raise SpecError(f"pool takes {' or '.join(pools)} for this model, not {str(pool)[:60]!r}")
        self.pool = pool
        self.dim = self.channels[-1]

    @property
    def depth(self) -> int:
        """The number of maps: blocks of a ViT, stages of a CNN."""
        return len(self.channels)

    @property
    def has_cls(self) -> bool:
        """True if `Features.cls` and `Features.map_cls` are given."""
        return False

    @property
    def no_dense(self) -> str | None:
        """The reason if dense tasks cannot use it."""
        side = self.preprocess.size
        return self.no_maps or (f"it takes images of {side}x{side} only" if self.fixed else None)

    def forward(self, images: Tensor, maps: Sequence[int] | None = None) -> Features:
        """Return features of RGB images in [0, 1]; `maps` selects the maps to return (None: all, (): pooled only).

        A negative index counts from the last map; UMTError if a map does not exist.
        """
        if self.fixed and images.shape[2:] != (self.preprocess.size,) * 2:
            side, size = self.preprocess.size, "x".join(map(str, images.shape[2:]))
            raise SizeError(f"backbone '{self.spec}' takes images of {side}x{side} only, not {size}")
        normalised, indices = (images - self.mean) / self.std, self._indices(maps)
        if self.weights_dtype is None:
            return self._extract_selected(normalised, indices)
        return self._extract_selected(normalised.to(self.weights_dtype), indices).float()

    def _extract_selected(self, images: Tensor, maps: list[int]) -> Features:
        return self.extract(images, maps) if self.pool is None else self._pooled(images, maps)

    def side(self, resolution: int) -> int:
        """Return the side of the images for a resolution: the next that the backbone takes, or its only one."""
        return self.preprocess.size if self.fixed else round_up(resolution, self.preprocess.size_multiple)

    def use_dtype(self, dtype: torch.dtype) -> None:
        """Hold the weights in another type and compute in it; normalisation stays in float32."""
        self.weights_dtype = dtype
        for module in self.children():
            module.to(dtype)

    def _pooled(self, images: Tensor, maps: list[int]) -> Features:
        """Return features whose global feature is the one that `use_pool` has chosen."""
        features = self.extract(images, maps if self.pool == "cls" else [*maps, self.depth - 1])
        if self.pool == "cls":
            assert features.cls is not None
            return replace(features, pooled=features.cls)
        tokens = None if features.map_cls is None else features.map_cls[:-1]
        return Features(features.maps[-1].mean(dim=(2, 3)), features.cls, features.maps[:-1], tokens)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        """Return features of *normalised* images; `maps` holds non-negative indices, returned in that order."""
        raise NotImplementedError(f"{type(self).__name__} must implement extract(images, maps) -> Features")

    def layer_ids(self) -> dict[str, int]:
        """Return the depth of every parameter, 0 for the stem, for layer-wise learning-rate decay (MAE, appendix A.2).

        By default there is one layer for each block as the parameter names tell it, in order of registration.
        """
        order: dict[str, int] = {}
        return {name: order.setdefault(_block_of(name), len(order)) for name, _ in self.named_parameters()}

    def no_weight_decay(self) -> set[str]:
        """Return names of parameters that are never decayed, beside the one-dimensional ones."""
        return set()

    def weights_hash(self) -> str:
        """Return a SHA-256 over names, types, shapes and values of all weights: equal weights, equal hash."""
        return self.known_hash or self.hash_weights()

    def hash_weights(self) -> str:
        """Compute the hash of the weights as they are now."""
        return hash_tensors(self.state_dict())

    def train(self, mode: bool = True) -> Self:
        """Change the mode, as any module does; weights that train have another hash."""
        self.known_hash = None if mode else self.known_hash
        return super().train(mode)

    def _indices(self, maps: Sequence[int] | None) -> list[int]:
        every = range(self.depth)
        try:
            return list(every) if maps is None else [every[index] for index in maps]
        except IndexError:
            if self.no_maps:
                raise BackboneError(f"backbone '{self.spec}' gives no maps: {self.no_maps}") from None
            raise BackboneError(
                f"backbone '{self.spec}' has no maps {list(maps or ())}; take 0 to {self.depth - 1}"
            ) from None


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors, in order of name."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}|{value.dtype}|{tuple(value.shape)}|".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _block_of(name: str) -> str:
    """Return the block: `net.blocks.3.attn.q.weight` -> `net.blocks.3`; `net.stem.conv.weight` -> `net.stem.conv`."""
    parts = name.split(".")
    for index, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[: index + 1])
    return ".".join(parts[:-1]) or name


Factory = TypeVar("Factory", bound=Callable[..., Any])
MARK = "__backbone_factory__"


def backbone_factory(function: Factory) -> Factory:
    """Mark a function as a factory of backbones, so that `module:function` may name it."""
    setattr(function, MARK, True)
    return function


def is_factory(value: Any) -> bool:
    """Return whether a value is a Backbone class, a marked function, or one that is annotated to return a Backbone."""
    if isinstance(value, type):
        return issubclass(value, Backbone)
    if not callable(value):
        return False
    return getattr(value, MARK, False) is True or _is_backbone(
        getattr(value, "__annotations__", {}).get("return"), value
    )


def _is_backbone(hint: Any, function: Any) -> bool:
    """Return whether an annotation is Backbone or a class of it, also written as text."""
    if isinstance(hint, str):
        name = hint.rpartition(".")[2]
        hint = getattr(function, "__globals__", {}).get(name, Backbone if name == Backbone.__name__ else None)
    return isinstance(hint, type) and issubclass(hint, Backbone)
