"""The moving average of the weights, against its definition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from torch import Tensor, nn

from umt.training.engine import Extras, Recipe
from umt.training.hooks.average import averaged_tensors


class Weights(Hook):
    """Remembers the head's weights after each optimiser step."""

    def __init__(self) -> None:
        self.history: list[Tensor] = []

    def after_train_iter(self, runner, *_: object, **__: object) -> None:  # type: ignore[no-untyped-def]
        if runner.optim_wrapper.should_update():
            self.history.append(runner.model.head.weight.detach().double().clone())


@pytest.mark.parametrize("device_batch", [8, 2])
def test_it_is_that_of_its_definition_over_optimiser_steps(train, recipe: Recipe, device_batch: int) -> None:  # type: ignore[no-untyped-def]
    weights = Weights()
    found = train(replace(recipe, device_batch=device_batch), extras=Extras(ema=0.8, hooks=(weights,)))
    average = weights.history[0]
    for value in weights.history[1:]:
        average = 0.8 * average + 0.2 * value
    assert len(weights.history) == recipe.steps(24)
    torch.testing.assert_close(found["head.weight"].double(), average, rtol=0, atol=1e-7)
    assert not torch.allclose(found["head.weight"].double(), weights.history[-1], atol=1e-4)


def test_training_itself_does_not_change(train, recipe: Recipe, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    plain, averaged = Weights(), Weights()
    train(recipe, work_dir=tmp_path / "a", extras=Extras(hooks=(plain,)))
    train(recipe, work_dir=tmp_path / "b", extras=Extras(ema=0.8, hooks=(averaged,)))
    assert all(torch.equal(one, other) for one, other in zip(plain.history, averaged.history, strict=True))


def test_statistics_of_batchnorm_are_averaged_and_counters_are_not() -> None:
    names = set(averaged_tensors(nn.BatchNorm2d(3)))
    assert names == {"weight", "bias", "running_mean", "running_var"}
