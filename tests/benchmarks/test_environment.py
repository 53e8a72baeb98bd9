"""The recorded circumstances of a run are those of this process."""

from __future__ import annotations

import platform

import numpy as np
import pytest
import torch

from benchmarks.environment import describe, peak_memory_mb, pick_device
from umt.errors import UMTError


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


def test_unknown_device_is_named() -> None:
    with pytest.raises(UMTError, match="--device tpu9000"):
        pick_device("tpu9000")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_missing_gpu_is_named() -> None:
    with pytest.raises(UMTError, match="no GPU"):
        pick_device("cuda")
