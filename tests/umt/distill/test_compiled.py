"""torch.compile on and off: the same losses, the same gradients, the same names of weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")


@needs_compiler
def test_compiled_steps_equal_eager_ones(
    recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]
) -> None:
    model = distiller(recipe("interaction.rounds=1"))
    images = torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    names = set(model.state_dict())
    losses, gradients = _step(model, images)
    model.compile_parts()
    compiled_losses, compiled_gradients = _step(model, images)
    assert set(model.state_dict()) == names
    for name, value in losses.items():
        torch.testing.assert_close(compiled_losses[name], value, rtol=1e-5, atol=1e-7)
    for name, value in gradients.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(compiled_gradients[name], value, rtol=1e-4, atol=1e-4 * scale, msg=name)


def _step(model: Distiller, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    model.zero_grad()
    losses = model(images)
    losses["loss"].backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    return losses, gradients
