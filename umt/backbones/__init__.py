"""The Backbone contract and everything that can be plugged into it; torch is imported at the first use of a name."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from umt.backbones.adapters.module_adapter import wrap_module
    from umt.backbones.contract import Backbone, Features, Preprocess, backbone_factory
    from umt.backbones.registry import create_backbone

__all__ = ["Backbone", "Features", "Preprocess", "backbone_factory", "create_backbone", "wrap_module"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = {"create_backbone": "registry", "wrap_module": "adapters.module_adapter"}.get(name, "contract")
    return getattr(import_module(f"{__name__}.{module}"), name)
