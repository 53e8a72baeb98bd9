"""Small stand-ins: random students and teachers of the architectures that the paper mixes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from umt.backbones import create_backbone
from umt.backbones.contract import Backbone, Features
from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe, load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher

CNN = "timm:test_resnet?pretrained=false"
VIT = "timm:test_vit?pretrained=false&img_size=64"


@pytest.fixture
def cnn_student() -> Backbone:
    return create_backbone(CNN)


@pytest.fixture
def vit_student() -> Backbone:
    return create_backbone(VIT)


@pytest.fixture
def student_features() -> Callable[..., Features]:
    """Noise in the shape of a student's last map, with a class token for ViTs."""

    def make(width: int, side: int = 3, batch: int = 2, cls: bool = False) -> Features:
        generator = torch.Generator().manual_seed(0)
        fmap = torch.randn(batch, width, side, side, generator=generator, requires_grad=True)
        token = torch.randn(batch, width, generator=generator, requires_grad=True) if cls else None
        return Features(fmap.mean(dim=(2, 3)), token, [fmap])

    return make


@pytest.fixture
def recipe() -> Callable[..., DistillRecipe]:
    """The shipped mini recipe with random stand-ins as teachers: a CNN called classification, a ViT called DINO."""

    def make(*changes: str, student: str = "timm:test_resnet") -> DistillRecipe:
        return load_recipe(
            "mini-cnn-pypi",
            [
                f"student={student}",
                "teachers.lite0.backbone=timm:test_convnext?pretrained=false",
                "teachers.lite2.backbone=" + VIT,
                "teachers.lite2.objective=dino",
                "interaction.groups=8",
                "views.size=64",
                *changes,
            ],
        )

    return make


@pytest.fixture
def distiller() -> Callable[..., Distiller]:
    """A distiller of a recipe, its teachers built with random weights."""

    def make(recipe: DistillRecipe, **options: Any) -> Distiller:
        torch.manual_seed(recipe.seed)
        student = create_backbone(recipe.student, pretrained=False)
        side = recipe.views.size // student.strides[-1]
        teachers = [
            Teacher(spec, create_backbone(spec.backbone), recipe.views.size, (side, side)) for spec in recipe.teachers
        ]
        shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
        return Distiller(recipe, student, shapes, teachers, **options)

    return make
