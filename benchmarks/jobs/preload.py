"""The imports of every job; the fork server loads them once, and each job starts from there in milliseconds."""

from __future__ import annotations

from importlib import import_module

from umt.surroundings import accept_all_text

accept_all_text()
for name in ("timm", "torch", "torchvision.transforms.v2", "benchmarks.jobs.measure"):
    import_module(name)
