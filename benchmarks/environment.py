"""The circumstances of a run: code version, packages, device."""

from __future__ import annotations

import platform
import resource
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.results import Environment
from umt.revision import revision

PACKAGES = (
    "umt-bench",
    "torch",
    "torchvision",
    "timm",
    "onedl-mmengine",
    "onedl-mmsegmentation",
    "scikit-learn",
    "numpy",
)


def describe(device: torch.device) -> Environment:
    """Describe the environment of the running process."""
    code = revision(Path(__file__).parent)
    return Environment(
        commit=code.commit,
        dirty=code.dirty,
        packages={name: package_version for name in PACKAGES if (package_version := _version(name))},
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type,
        python=platform.python_version(),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def peak_memory_mb(device: torch.device) -> float:
    """Return the largest memory of the device's allocator, or of this process on the CPU, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
