"""The imports of every job; the fork server loads them once, and each job starts from there in milliseconds."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module

from umt.surroundings import accept_all_text

accept_all_text()
for name in ("sklearn.linear_model", "timm", "torch", "torchvision.transforms.v2", "benchmarks.jobs.measure"):
    import_module(name)

from benchmarks.tasks.registry import BUILT_IN  # noqa: E402  (after the libraries it needs)

for name in BUILT_IN:
    with suppress(ModuleNotFoundError):  # an optional dependency; the job that needs it says so
        import_module(f"benchmarks.tasks.{name}")
