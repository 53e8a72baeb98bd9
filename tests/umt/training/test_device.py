"""Devices by name."""

from __future__ import annotations

import pytest
import torch

from umt.errors import UMTError
from umt.training.device import pick_device


def test_unknown_device_is_named() -> None:
    with pytest.raises(UMTError, match="--device tpu9000"):
        pick_device("tpu9000")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_missing_gpu_is_named() -> None:
    with pytest.raises(UMTError, match="no GPU"):
        pick_device("cuda")
