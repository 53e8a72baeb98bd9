"""A student as a folder that `timm.create_model("local-dir:FOLDER", pretrained=True)` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_model_data_config
from timm.models import save_for_hf
from torch import Tensor

from umt.backbones.adapters.timm_adapter import Model, TimmBackbone, extract
from umt.backbones.contract import Backbone
from umt.errors import BackboneError
from umt.export.agreement import Exported, Outputs, measure, named_outputs, require, shapes_of
from umt.export.attempt import attempt

TOLERANCE = 1e-5
# Fields of timm's configuration that describe the weights that it would fetch for this architecture, not ours.
OF_OTHER_WEIGHTS = ("tag", "license", "description", "origin_url", "paper_name", "paper_ids", "notes")


def write_timm_folder(backbone: Backbone, folder: Path) -> Exported:
    """Write model.safetensors and config.json by timm's own means, and load them again.

    Raises UMTError if the backbone is no timm model, or if the model that timm loads differs.
    """
    if not isinstance(backbone, TimmBackbone):
        raise BackboneError(f"{backbone.spec}: {_obstacle(backbone)}; take --to onnx")
    config = {"pretrained_cfg": _pretrained_cfg(backbone)}
    with attempt(backbone.spec, "timm"):
        save_for_hf(backbone.model, str(folder), model_config=config, safe_serialization=True)
        agreements = measure(backbone, _loaded(folder), shapes_of(backbone))
    require(agreements, TOLERANCE, "timm")
    return Exported(agreements)


def _obstacle(backbone: Backbone) -> str:
    if "#" in backbone.spec:
        return "timm has no interaction modules, which a space sits behind"
    return f"the student is no timm model, but a {backbone.architecture}"


def _pretrained_cfg(backbone: Backbone) -> dict[str, Any]:
    """Return the preprocessing in timm's terms, with the fields emptied that belong to other weights."""
    preprocess = backbone.preprocess
    return {
        **dict.fromkeys(OF_OTHER_WEIGHTS),
        "input_size": (3, preprocess.size, preprocess.size),
        "mean": preprocess.mean,
        "std": preprocess.std,
        "interpolation": preprocess.interpolation,
        "crop_pct": preprocess.crop_pct,
    }


def _loaded(folder: Path) -> Any:
    """Return timm's own model, called as timm does, on images normalised as the folder says."""
    model: Model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = resolve_model_data_config(model)
    mean, std = (torch.tensor(config[name]).view(1, 3, 1, 1) for name in ("mean", "std"))

    def run(images: Tensor) -> Outputs:
        normalised = (images - mean) / std
        every_map = range(len(model.feature_info))
        return {**named_outputs(extract(model, normalised, every_map)), "pooled": model(normalised)}

    return run
