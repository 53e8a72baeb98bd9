"""The models of the distillation benchmarks: three ViT-B/16 teachers with random weights, and a student of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from umt.backbones import create_backbone
from umt.data.image_list import ImageList, find_images
from umt.data.loaders import worker_count
from umt.distill.distiller import Cached, Distiller
from umt.distill.ingredients import build_student, grid_of
from umt.distill.recipe import DistillRecipe, TeacherSpec, load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher
from umt.training.batches import make_loader
from umt.training.precision import pick_precision

TEACHERS = (
    TeacherSpec("cls", "classification", "timm:vit_base_patch16_224?pretrained=false"),
    TeacherSpec("mae", "mae", "timm:vit_base_patch16_224.mae?pretrained=false"),
    TeacherSpec("dino", "dino", "timm:vit_base_patch16_dinov3?pretrained=false"),
)
DRAWS = {"cuda": 1_281_167, "cpu": 0}  # images that a loader expects: an epoch of ImageNet, or few


@dataclass(frozen=True)
class DistillSetting:
    """A distillation to measure: small enough for the device, repeated enough to find the least time."""

    recipe: DistillRecipe
    device: torch.device
    batch: int
    repeats: int

    @classmethod
    def on(cls, device: torch.device) -> DistillSetting:
        """Take the ViT-B recipe with 256 images on a GPU, a ResNet-50 student with two images on a CPU."""
        gpu = device.type == "cuda"
        recipe = load_recipe("vit-b" if gpu else "resnet50")
        return cls(replace(recipe, teachers=TEACHERS), device, batch=256 if gpu else 2, repeats=10 if gpu else 5)

    @property
    def precision(self) -> str:
        return pick_precision(self.recipe.training.precision, self.device)

    def autocast(self, precision: str | None = None) -> torch.autocast:
        """Return autocast in the precision of the training, or in another precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=(precision or self.precision) == "bf16")

    def views(self) -> Tensor:
        """Draw a batch of noise in the format of a loader."""
        size = (self.batch, 3, self.recipe.views.size, self.recipe.views.size)
        noise = torch.randint(0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        return noise.to(self.device)


def build_distiller(setting: DistillSetting) -> Distiller:
    """Build student, spaces and teachers on the device, ready to train."""
    recipe, device = setting.recipe, setting.device
    student = build_student(recipe)
    grid = grid_of(student, recipe.views.size)
    teachers = [Teacher(spec, create_backbone(spec.backbone), recipe.views.size, grid) for spec in recipe.teachers]
    shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
    model = Distiller(recipe, student, shapes, [teacher.to(device) for teacher in teachers])
    return model.to(device, memory_format=torch.channels_last).train()


def step(
    setting: DistillSetting,
    model: Distiller,
    views: Tensor,
    targets: Cached | None = None,
    precision: str | None = None,
) -> Callable[[], None]:
    """Return a training step without its optimiser; teachers run unless there are `targets`."""

    def run() -> None:
        with setting.autocast(precision):
            loss = model(views, targets)["loss"]
        loss.backward()
        model.zero_grad()

    return run


def pictures(folder: Path, count: int) -> ImageList:
    """Write JPEG files of ImageNet's usual size, of smooth noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{index:04}.jpg", quality=90)
    return find_images(folder)


def loader(setting: DistillSetting, images: Dataset[Any]) -> Iterator[dict[str, Any]]:
    """Yield batches without end, loaded as in training."""
    draws = DRAWS[setting.device.type]
    return iter(make_loader(images, batch=setting.batch, seed=0, draws=draws, pinned=setting.device.type == "cuda"))


def workers(setting: DistillSetting) -> int:
    """Return the processes of such a loader; none on a CPU, because the clock would not count them."""
    return worker_count(DRAWS[setting.device.type])
