"""`hub:FOLDER/ENTRY[?options]`: a model of a local checkout with a hubconf.py, as torch.hub builds it. It runs code."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from umt.backbones.adapters.building import building
from umt.backbones.adapters.module_adapter import wrap_module
from umt.backbones.contract import Backbone, preprocess_options
from umt.backbones.lean import with_weights
from umt.backbones.spec import Spec
from umt.errors import BackboneError, MissingFileError

FILE = "hubconf.py"


def load(spec: Spec) -> Backbone:
    """Build the entry of a checkout and wrap it; options are mean, std, size, and arguments of the entry."""
    folder, entry = Path(spec.name).parent.resolve(), Path(spec.name).name
    if not (folder / FILE).is_file():
        raise MissingFileError(
            f"backbone '{spec.text}': {folder} has no {FILE}; write hub:FOLDER/ENTRY, where FOLDER is a local checkout"
        )
    options = dict(spec.options)
    overrides = preprocess_options(options)
    with building(f"hub:{spec.name}", options):
        module = with_weights(lambda: torch.hub.load(str(folder), entry, source="local", **options), known=False)
    if not isinstance(module, nn.Module):
        raise BackboneError(
            f"backbone '{spec.text}' gave a {type(module).__name__}, and no torch.nn.Module; name another"
        )
    backbone = wrap_module(module)
    backbone.use_preprocess(backbone.preprocess.override(**overrides))
    backbone.architecture = entry
    return backbone
