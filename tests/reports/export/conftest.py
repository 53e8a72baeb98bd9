"""Students of both kinds with two spaces, and what their files say of how they were made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from umt.backbones import create_backbone
from umt.distill.distiller import Distiller
from umt.distill.recipe import load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.train import save_student

STUDENTS = {"cnn": "timm:test_resnet", "vit": "timm:test_vit?img_size=64&depth=2"}
TEACHERS = [
    {"name": "mae", "kind": "mae", "backbone": "timm:vit_base_patch16_224.mae"},
    {"name": "dino", "kind": "dino", "backbone": "timm:vit_small_patch14_dinov2", "weights": "dino_own.pth"},
]
HISTORY = {"losses": {"mae": {"feature": 0.25, "token": 0.125}, "dino": {"feature": 0.5}}}
DATA = {"images": 1234, "origin": "/home/somebody/photos", "fingerprint": "f00d"}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[..., Path]:
    """Writes a student of the kind, cnn or vit, with changes of its recipe."""

    def write(kind: str, *more: str) -> Path:
        changes = [f"student={STUDENTS[kind]}", f"teachers={TEACHERS}", "interaction.groups=8", "interaction.heads=4"]
        recipe = load_recipe("mini-cnn-pypi", [*changes, "interaction.rounds=1", "interaction.width=16", *more])
        torch.manual_seed(0)
        shapes = [
            SpaceShape(teacher["name"], width, width + 8) for teacher, width in zip(TEACHERS, (24, 32), strict=True)
        ]
        student = create_backbone(recipe.student, pretrained=False)
        save_student(tmp_path / f"{kind}.pth", recipe, Distiller(recipe, student, shapes), DATA, HISTORY)
        return tmp_path / f"{kind}.pth"

    return write
