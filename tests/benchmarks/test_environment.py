"""The recorded circumstances of a run are those of this process."""

from __future__ import annotations

import platform

import numpy as np
import torch

from benchmarks.environment import describe, peak_memory_mb


def test_environment_describes_this_process() -> None:
    environment = describe(torch.device("cpu"))
    assert torch.__version__.startswith(environment.packages["torch"].split("+")[0])
    assert environment.python == platform.python_version()
    assert environment.started.endswith("+00:00")


def test_peak_memory_follows_an_allocation() -> None:
    before = peak_memory_mb(torch.device("cpu"))
    block = np.ones((int(before) + 300, 2**17))  # a MiB each row
    assert peak_memory_mb(torch.device("cpu")) >= before + 250
    del block
