"""Spaces that are computed in parts of a batch, twice: the same losses and gradients as at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe


@pytest.mark.parametrize("method", ["umt", "projectors"])
@pytest.mark.parametrize("student", ["timm:test_resnet", "timm:test_vit?img_size=64"])
def test_parts_change_neither_losses_nor_gradients(
    method: str, student: str, recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]
) -> None:
    """Take batches of five and one, which three parts do not divide."""
    model = distiller(recipe(f"interaction.method={method}", "interaction.heads=4", student=student)).train()
    for count in (5, 1):
        views = torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        if count == 1:
            model.eval()  # BatchNorm of a single image
        at_once, expected = losses_and_gradient(model, views, parts=1)
        in_parts, gradient = losses_and_gradient(model, views, parts=3)
        assert in_parts.keys() == at_once.keys()
        for name, loss in at_once.items():
            torch.testing.assert_close(in_parts[name], loss, rtol=1e-6, atol=0)
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def losses_and_gradient(
    model: Distiller, views: torch.Tensor, parts: int
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Return all losses, and the gradient of their sum for student and spaces."""
    model.parts = parts
    losses = model(views)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(losses["loss"], weights, allow_unused=True)
    return losses, torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


def test_a_part_is_computed_again_for_the_gradient(
    recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]
) -> None:
    model, sizes = distiller(recipe()).train(), []
    model.parts = 2
    model.spaces.register_forward_pre_hook(lambda module, inputs: sizes.append(len(inputs[0].maps[0])))
    loss = model(torch.rand(4, 3, 64, 64))["loss"]
    assert sizes == [2, 2]
    loss.backward()
    assert sizes == [2, 2, 2, 2]
