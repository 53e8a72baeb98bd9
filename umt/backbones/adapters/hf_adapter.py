"""`hf:ORG/NAME[@revision]`, `hf:FOLDER`: image models of Hugging Face transformers as Backbones."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from importlib import import_module
from io import StringIO
from math import isqrt
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from huggingface_hub import constants
from PIL import Image
from torch import Tensor, nn

from umt.backbones.adapters.building import building
from umt.backbones.adapters.module_adapter import choose_preprocess, picked
from umt.backbones.contract import Features, Preprocess, preprocess_options
from umt.backbones.probing import MeasuredBackbone, measure
from umt.backbones.spec import Spec
from umt.backbones.weights import LoadReport
from umt.errors import BackboneError, PackageError, SpecError, WeightsError
from umt.text import brief

Model = Any  # of transformers, which may not be installed
OPTIONS = ("trust", "pretrained")
NORMS = ("layernorm", "norm", "layer_norm", "post_layernorm")  # names of the norm after the last block
UNUSED = ("pooler.", "mask_token")  # parts of a model that no feature passes through, so a file may leave them out


class HFBackbone(MeasuredBackbone):
    """A vision model of transformers; `pooled` is what its family takes for the image as a whole."""

    def __init__(self, model: Model, preprocess: Preprocess) -> None:
        tower = _Tower(model)
        name = type(tower.vision).__name__
        shape = measure(f"Hugging Face's {name}", tower, tower.features, _multiples(tower), preprocess.size)
        super().__init__(shape, preprocess)
        self.model = tower
        self.spec = self.architecture = name
        self._has_cls = shape.has_cls

    @property
    def has_cls(self) -> bool:
        return self._has_cls

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        every = self.model.features(images)
        return picked(every, maps, self.has_cls)


class _Tower(nn.Module):
    """The image part of a model, with the projection that CLIP's kind puts behind it."""

    prefix: int = 0  # tokens before the patches, the class token first

    def __init__(self, model: Model) -> None:
        super().__init__()
        composed = hasattr(model, "vision_model")
        vision: Model = model.vision_model if composed else _base(model)
        self.vision = vision
        self.projection: nn.Module | None = getattr(model, "visual_projection", None) if composed else None
        pooler = getattr(vision, "pooler", None)
        if hasattr(pooler, "dense"):  # of BERT's kind; few files hold one, and none of their authors reads it
            vision.pooler = None
        self.arguments = _arguments(vision)
        self.train(vision.training)

    def features(self, images: Tensor) -> Features:
        """Return the features of normalised images, with every map."""
        outputs = self.vision(pixel_values=images, **self.arguments, **_all_patches(self.vision, images))
        states = [state for state in outputs.hidden_states if state.shape != images.shape]
        maps, classes = self._maps(states, images) if states[-1].ndim == 3 else (_last_of_size(states), [])
        pooled = self._pooled(outputs, maps[-1], classes)
        return Features(pooled, classes[-1] if classes else None, maps, classes or None)

    def _maps(self, states: Sequence[Tensor], images: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """Return maps [B, C, H, W] and class tokens [B, C] of hidden states [B, N, C], final norm applied."""
        norm = next((getattr(self.vision, name) for name in NORMS if hasattr(self.vision, name)), nn.Identity())
        normed = [norm(state) if _fits(norm, state) else state for state in states]
        patch = _patch(self.vision)
        rows, columns = (side // patch for side in images.shape[2:])
        self.prefix = states[-1].shape[1] - rows * columns
        if self.prefix < 0:  # a hierarchy: its states have other strides than the patches
            self.prefix = 0
            return _last_of_size([_grid(state, images) for state in normed]), []
        grids = [state[:, self.prefix :].mT.unflatten(2, (rows, columns)) for state in normed[1:]]
        return grids, [state[:, 0] for state in normed[1:]] if self.prefix else []

    def _pooled(self, outputs: Any, last: Tensor, classes: Sequence[Tensor]) -> Tensor:
        pooled = getattr(outputs, "pooler_output", None)
        if pooled is None:
            pooled = classes[-1] if classes else last.mean(dim=(2, 3))
        pooled = pooled.flatten(1)
        return pooled if self.projection is None else self.projection(pooled)


def _base(model: Model) -> Model:
    """Return a model without the classifier around it; some call a part of themselves so that takes no images."""
    inner: Model = getattr(model, "base_model", model)
    return inner if "pixel_values" in inspect.signature(inner.forward).parameters else model


def wrap(module: nn.Module, preprocess: str | Preprocess | None) -> HFBackbone:
    """Wrap a model; without `preprocess` its own folder must say how images are prepared."""
    model: Model = module
    folder = str(getattr(model, "name_or_path", ""))
    stored_preprocess = _preprocess_of(folder, {}) if folder and (preprocess is None or Path(folder).is_dir()) else None
    side = stored_preprocess or replace(Preprocess(), size=_side(_Tower(model).vision.config))
    return HFBackbone(model, choose_preprocess(preprocess, stored_preprocess if preprocess is None else side, module))


def load(spec: Spec) -> HFBackbone:
    """Load by name or folder; options are mean, std, size, pretrained, and trust for a model with code of its own."""
    options = dict(spec.options)
    overrides = preprocess_options(options)
    if unknown := options.keys() - set(OPTIONS):
        raise SpecError(f"backbone '{spec.text}': unknown option '{min(unknown)}'; take {' or '.join(OPTIONS)}")
    name, revision = _repository(spec.name)
    trust = options.get("trust", False) is True
    where = {"trust_remote_code": trust, **({"revision": revision} if revision else {})}
    has_colours = overrides.keys() >= {"mean", "std"}
    with _building(spec, name):
        model, report = _model(name, where, pretrained=options.get("pretrained", True) is not False)
        stored_preprocess = _preprocess_of(name, where)
    if stored_preprocess is None and not has_colours:
        raise SpecError(f"{name}: no preprocessor_config.json, so its normalisation is unknown; add ?mean=...&std=...")
    preprocess = stored_preprocess or Preprocess(size=_side(_Tower(model).vision.config))
    backbone = HFBackbone(model, preprocess.override(**overrides))
    backbone.load_report = report
    if trust:
        backbone.notes = (f"runs the code of {name}",)
    return backbone


def _transformers() -> ModuleType:
    try:
        return import_module("transformers")
    except ModuleNotFoundError as error:
        raise PackageError(
            "hf: names need the package transformers; install it with: pip install 'umt-bench[hf]'"
        ) from error


@contextmanager
def _building(spec: Spec, name: str) -> Iterator[None]:
    """Build without progress bars, and ask nobody if he trusts the code of a model."""
    logging = _transformers().logging
    hub = None if Path(name).is_dir() else constants.ENDPOINT
    remedy = "download it where there is a network, and name its folder: hf:FOLDER"
    logging.disable_progress_bar()
    try:
        with building(f"hf:{name}", {}, hub=hub, remedy=remedy), redirect_stderr(StringIO()):
            yield
    except BackboneError as error:
        if "trust_remote_code" in str(error.__cause__):
            raise SpecError(f"backbone '{spec.text}': it has code of its own; to run it, add ?trust=true") from error
        raise
    finally:
        logging.enable_progress_bar()


def _model(name: str, where: Mapping[str, Any], *, pretrained: bool) -> tuple[Model, LoadReport | None]:
    auto = _transformers().AutoModel
    if not pretrained:
        config = _transformers().AutoConfig.from_pretrained(name, **where)
        return auto.from_config(config, trust_remote_code=where["trust_remote_code"]), None
    model, loading_info = auto.from_pretrained(name, output_loading_info=True, dtype=torch.float32, **where)
    return model, _report(name, model, loading_info)


def _report(name: str, model: Model, loading_info: Mapping[str, Any]) -> LoadReport:
    """Return the effect of the files; WeightsError if a weight that features need was not in them, and is random."""
    missing = sorted(str(key) for key in loading_info["missing_keys"])
    needed = [key for key in missing if not any(part in key for part in UNUSED)]
    if needed or loading_info.get("mismatched_keys"):
        example = needed[0] if needed else str(next(iter(loading_info["mismatched_keys"])))
        raise WeightsError(
            f"hf:{name}: its weights do not fit a {type(model).__name__}: {len(needed)} are missing, "
            f"e.g. {brief(example)}; name a folder of a complete vision model"
        )
    matched = sorted(model.state_dict().keys() - set(missing))
    return LoadReport(matched, missing, sorted(map(str, loading_info["unexpected_keys"])))


def _preprocess_of(name: str, where: Mapping[str, Any]) -> Preprocess | None:
    """Return the preprocessing that a name's own configuration states, None if it has none."""
    mixin = import_module("transformers.image_processing_base").ImageProcessingMixin
    try:
        config, _ = mixin.get_image_processor_dict(name, **{key: where[key] for key in ("revision",) if key in where})
    except OSError:
        return None
    if not config.get("image_mean") and config.get("do_normalize", True):
        return None
    colours = {"image_mean": [0, 0, 0], "image_std": [1, 1, 1]} if config.get("do_normalize") is False else config
    side, size = _first_side(config.get("crop_size") or config.get("size")), _first_side(config.get("size"))
    cropped = config.get("do_center_crop", bool(config.get("crop_size")))
    crop_pct = config.get("crop_pct") or (side / size if cropped and size >= side else 1.0)
    resample = Image.Resampling(config.get("resample", Image.Resampling.BICUBIC)).name.lower()
    red, green, blue = colours["image_mean"]
    deviations = colours["image_std"]
    return Preprocess((red, green, blue), tuple(deviations), resample, float(crop_pct), side)


def _first_side(size: Any) -> int:
    """Return a side of `{"height": 224, ...}`, `{"shortest_edge": 224}` or 224."""
    value = next(iter(size.values()), None) if isinstance(size, Mapping) else size
    return int(value or Preprocess().size)


def _repository(name: str) -> tuple[str, str | None]:
    """Split NAME@REVISION; a folder has no revision."""
    if Path(name).is_dir():
        return name, None
    repository, _, revision = name.partition("@")
    return repository, revision or None


def _side(config: Any) -> int:
    side = getattr(config, "image_size", None)
    return int(side[0] if isinstance(side, (list, tuple)) else side or Preprocess().size)


def _patch(vision: Model) -> int:
    patch = getattr(vision.config, "patch_size", None)
    return int(patch[0] if isinstance(patch, (list, tuple)) else patch or 1)


def _multiples(tower: _Tower) -> list[int]:
    """Return sides to try: a patch for plain ViTs, and what five halvings or four on top of a patch need."""
    patch = _patch(tower.vision)
    return [patch, 32] if patch >= 8 else [32, 64]


def _arguments(vision: Model) -> dict[str, Any]:
    known = inspect.signature(vision.forward).parameters
    if "pixel_values" not in known:
        raise BackboneError(f"Hugging Face's {type(vision).__name__} takes no images; name a vision model")
    extra = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}
    return {"output_hidden_states": True, "return_dict": True, **extra}


def _all_patches(vision: Model, images: Tensor) -> dict[str, Any]:
    """Return the argument by which MAE's encoder keeps all patches, in their order."""
    if "noise" not in inspect.signature(vision.forward).parameters:
        return {}
    vision.config.mask_ratio = 0.0
    patches = (images.shape[2] // _patch(vision)) * (images.shape[3] // _patch(vision))
    return {"noise": torch.arange(patches, device=images.device).float().expand(len(images), -1)}


def _fits(norm: nn.Module, state: Tensor) -> bool:
    shape = getattr(norm, "normalized_shape", None)
    return shape is not None and state.shape[-1] == shape[0]


def _last_of_size(maps: Sequence[Tensor]) -> list[Tensor]:
    return list({fmap.shape[2:]: fmap for fmap in maps}.values())


def _grid(state: Tensor, images: Tensor) -> Tensor:
    """Return [B, N, C] as a map, whose stride follows from the number of its cells."""
    stride = isqrt(images.shape[2] * images.shape[3] // state.shape[1])
    return state.mT.unflatten(2, (images.shape[2] // stride, images.shape[3] // stride))
