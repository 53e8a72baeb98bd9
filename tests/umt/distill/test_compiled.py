"""torch.compile on and off: the same losses, the same gradients, the same names of weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from umt.backbones.contract import Backbone, Features, Preprocess
from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.teachers.teacher import Teacher


class Patches(Backbone):
    """Few kernels: compiling a real architecture takes minutes."""

    def __init__(self, width: int) -> None:
        super().__init__(Preprocess(size_multiple=16), channels=[width], strides=[16], dim=width)
        self.embed = nn.Conv2d(3, width, 16, stride=16)
        self.linear = nn.Linear(width, width)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        tokens = self.linear(nn.functional.gelu(self.embed(images)).flatten(2).transpose(1, 2))
        fmap = tokens.transpose(1, 2).unflatten(2, (images.shape[2] // 16, images.shape[3] // 16))
        return Features(tokens.mean(dim=1), None, [fmap for _ in maps])


@pytest.fixture
def model(recipe: Callable[..., DistillRecipe]) -> Distiller:
    torch.manual_seed(0)
    spec = recipe("interaction.rounds=1", "interaction.intra_space=false")
    one = replace(spec, teachers=spec.teachers[1:])
    teacher = Teacher(one.teachers[0], Patches(24), one.views.size, (4, 4))
    return Distiller(one, Patches(16), [SpaceShape(teacher.name, 24, 24)], [teacher])


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_steps_equal_eager_ones(model: Distiller) -> None:
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    names = set(model.state_dict())
    losses, gradients = _step(model, images)
    model.compile_parts()
    compiled_losses, compiled_gradients = _step(model, images)
    assert set(model.state_dict()) == names
    for name, value in losses.items():
        torch.testing.assert_close(compiled_losses[name], value, rtol=1e-5, atol=1e-7)
    for name, value in gradients.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(compiled_gradients[name], value, rtol=1e-4, atol=1e-5 * scale, msg=name)


def _step(model: Distiller, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    model.zero_grad()
    losses = model(images)
    losses["loss"].backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    return losses, gradients
