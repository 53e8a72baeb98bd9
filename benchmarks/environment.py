"""The circumstances of a run: code version, packages, device."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.results import Environment

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
    """Environment of the running process."""
    return Environment(
        commit=_git("rev-parse", "HEAD"),
        dirty=None if _git("rev-parse", "HEAD") is None else bool(_git("status", "--porcelain")),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or device.type,
        python=platform.python_version(),
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def peak_memory_mb(device: torch.device) -> float:
    """Largest memory of the device's allocator, or of this process on the CPU, in MiB."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(Path(__file__).parent), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
