"""Students from a local checkout: torch.hub.load("umt-bench", "umt_student", source="local", checkpoint="ckpt.pth")."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from umt.backbones import Backbone

dependencies = ["safetensors", "timm", "torch", "yaml"]


def umt_student(checkpoint: str) -> Backbone:
    """Load a UMT student as a Module of RGB images in [0, 1], through its heads as its file says.

    `ckpt.pth#dino` is one head, `ckpt.pth#backbone` the plain student.

    Raises umt.errors.UMTError if the file is no UMT checkpoint.
    """
    from umt.backbones import create_backbone

    return create_backbone(f"umt:{checkpoint}")
