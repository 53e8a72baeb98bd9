"""UMT-Bench: judge vision backbones with one harness, and distil better ones from several teachers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.api import evaluate
    from benchmarks.callbacks import EvaluationHook, lightning_callback
    from reports.results.store import load_results
    from umt.backbones.registry import create_backbone
    from umt.distill.api import distill

__version__ = "0.1.0"  # plain, because setup.cfg reads it without importing this file
__all__ = [
    "EvaluationHook",
    "__version__",
    "create_backbone",
    "distill",
    "evaluate",
    "lightning_callback",
    "load_results",
]

# The front door: each name is imported when it is used, so that `import umt` takes milliseconds. This file and cli.py
# are the only ones below umt/ that name what is built on umt. Imports by text are invisible to import-linter; its
# contracts in setup.cfg except those above, which only type checkers read.
_PLACES = {
    "create_backbone": "umt.backbones.registry:create_backbone",
    "distill": "umt.distill",  # the package, which can be called
    "evaluate": "benchmarks.api:evaluate",
    "EvaluationHook": "benchmarks.callbacks:EvaluationHook",
    "lightning_callback": "benchmarks.callbacks:lightning_callback",
    "load_results": "reports.results.store:load_results",
}

# Work that a suite needs of plug-ins and of the floors above it; benchmarks.actions knows it by these names alone.
ACTIONS = {
    "distil": "umt.distill.api:distill_students",
    "compare": "reports.analysis.cka:compare_features",
    "report": "reports.cli:write_report",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _PLACES[name].partition(":")
    loaded = import_module(module)
    return getattr(loaded, attribute) if attribute else loaded


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
