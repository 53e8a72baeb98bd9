"""UMT distillation: a student, several frozen teachers, and the spaces in which they meet. A plug-in of the harness.

`umt.distill(recipe, ...)` trains a student and returns the path of its checkpoint: see `umt.distill.api.distill`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class _CallableModule(ModuleType):
    """A module that is a function, too: importing a module of the package puts the package under this name."""

    def __call__(self, *arguments: Any, **options: Any) -> Path:
        """Call `umt.distill.api.distill`."""
        from umt.distill.api import distill  # imports torch

        return distill(*arguments, **options)


sys.modules[__name__].__class__ = _CallableModule
