"""The device that a user names."""

from __future__ import annotations

import torch

from umt.errors import DeviceError


def pick_device(name: str) -> torch.device:
    """Return the named device; 'auto' is the first GPU if there is one."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"--device {name}: not a torch device; write auto, cpu, cuda or cuda:0") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: this machine has no GPU that torch can use; write --device cpu")
    return device
