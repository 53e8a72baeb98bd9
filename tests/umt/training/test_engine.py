"""The engine: what accumulation, seeds, interruptions and bad recipes do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from torch import Tensor
from torch.utils.data import TensorDataset

from umt.errors import UMTError
from umt.training.engine import Extras, Recipe, warmup_then

Train = Callable[..., dict[str, Tensor]]


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_accumulation_equals_one_large_batch(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    """Also through warm-up, decay and clipping: the schedule counts optimiser steps."""
    large = train(recipe, work_dir=tmp_path / "a", dtype=torch.float64)
    small = train(replace(recipe, device_batch=2), work_dir=tmp_path / "b", dtype=torch.float64)
    for name in large:
        torch.testing.assert_close(small[name], large[name], rtol=0, atol=1e-10)
    assert not same(large, small)  # they were computed differently


def test_the_same_seed_gives_the_same_weights(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    first, again, other = (train(recipe, seed, tmp_path / name) for seed, name in ((1, "a"), (1, "b"), (2, "c")))
    assert same(first, again)
    assert not same(first, other)


def test_clipping_acts(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    """AdamW forgets the scale of gradients but for its epsilon of 1e-8, below which it hardly moves."""
    free = train(replace(recipe, clip_norm=None), work_dir=tmp_path / "a")
    clipped = train(replace(recipe, clip_norm=1e-12), work_dir=tmp_path / "b")
    assert free["head.weight"].abs().max() > 1e-2
    assert clipped["head.weight"].abs().max() < 1e-3


def test_a_run_leaves_no_scope_behind(train: Train, recipe: Recipe) -> None:
    before = DefaultScope.get_current_instance()
    train(recipe)
    assert DefaultScope.get_current_instance() is before


class InterruptedRunError(Exception):
    pass


@pytest.mark.parametrize("device_batch", [8, 4])
def test_an_interrupted_run_ends_in_the_same_weights(
    train: Train, recipe: Recipe, tmp_path: Path, device_batch: int
) -> None:
    recipe = replace(recipe, device_batch=device_batch, epochs=4)
    whole = train(recipe, work_dir=tmp_path / "whole", noisy=True)

    def interrupt(done: int, total: int, text: str) -> None:
        if done > total // 2:
            raise InterruptedRunError

    seen: list[int] = []
    with pytest.raises(InterruptedRunError):
        train(recipe, work_dir=tmp_path / "cut", extras=Extras(save_seconds=0), report=interrupt, noisy=True)
    resumed = train(recipe, work_dir=tmp_path / "cut", report=lambda done, *_: seen.append(done), noisy=True)
    assert seen[0] > 1
    assert same(whole, resumed)


def test_a_checkpoint_that_runs_code_is_refused(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[Path]]:
            return Path.touch, (tmp_path / "hacked",)

    torch.save({"state_dict": Evil()}, tmp_path / "resume.pth")
    with pytest.raises(UMTError, match=r"resume\.pth: refused"):
        train(recipe, work_dir=tmp_path)
    assert not (tmp_path / "hacked").exists()


def test_training_learns(train: Train, recipe: Recipe, images: TensorDataset) -> None:
    texts: list[str] = []
    train(replace(recipe, epochs=20), report=lambda done, total, text: texts.append(text))
    assert float(texts[-1].split()[1].rstrip(",")) < 0.1  # cross-entropy; 1.1 at the start


def test_bf16_trains_to_other_digits_of_the_same_weights(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    exact = train(recipe, work_dir=tmp_path / "a")
    rounded = train(replace(recipe, precision="bf16"), work_dir=tmp_path / "b")
    assert all(value.dtype == torch.float32 for value in rounded.values())
    assert not same(exact, rounded)


@pytest.mark.parametrize(
    ("epochs", "batch", "images", "steps", "warmup"),
    [(10.0, 512, 1_281_167, 25_023, 2502), (1.0, 64, 10, 1, 0), (0.5, 4, 40, 5, 4)],
)
def test_steps_follow_from_epochs_and_the_global_batch(
    recipe: Recipe, epochs: float, batch: int, images: int, steps: int, warmup: int
) -> None:
    declared = replace(recipe, epochs=epochs, batch=batch, device_batch=1, warmup_epochs=0.1 * epochs)
    if warmup == 4:  # as much warm-up as there can be
        declared = replace(declared, warmup_epochs=0.49)
    assert (declared.steps(images), declared.warmup_steps(images)) == (steps, warmup)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device_batch": 3}, "batch 8 is not a multiple of device_batch 3"),
        ({"warmup_epochs": 2}, "warmup_epochs 2 must be less than epochs 2"),
    ],
)
def test_a_recipe_that_cannot_be_says_why(recipe: Recipe, change: dict[str, int], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        replace(recipe, **change)


def test_an_unknown_precision_is_named(train: Train, recipe: Recipe) -> None:
    with pytest.raises(UMTError, match=r"unknown precision 'bf61'\. Did you mean bf16"):
        train(replace(recipe, precision="bf61"))


def test_divergence_is_an_error(train: Train, recipe: Recipe) -> None:
    with pytest.raises(
        UMTError, match=r"iteration 2: loss is nan; no checkpoint was saved before; lower lr \(now 1e\+30\)"
    ):
        train(replace(recipe, lr=1e30, clip_norm=None))


def test_weights_that_the_last_step_spoilt_are_an_error(train: Train, recipe: Recipe) -> None:
    class Spoil(Hook):
        def after_train(self, runner: Any) -> None:
            runner.model.head.weight.data.fill_(float("inf"))

    with pytest.raises(UMTError, match=r"diverged at lr 0\.01: weights are not finite"):
        train(recipe, extras=Extras(hooks=(Spoil(),)))


@pytest.mark.parametrize(("most", "processes"), [(1, 1), (2, 2), (3, 3), (5, 4), (8, 6), (20, 12)])
def test_as_many_processes_as_can_share_the_batch(recipe: Recipe, most: int, processes: int) -> None:
    assert replace(recipe, batch=48, device_batch=4).processes(most) == processes


def test_the_global_batch_is_shared_out_evenly(recipe: Recipe) -> None:
    assert replace(recipe, batch=48, device_batch=4).forwards(3) == 4
    with pytest.raises(UMTError, match=r"batch 8 is not a multiple of device_batch 8 x 2 processes = 16; .* is 16"):
        recipe.forwards(2)


def learning_rates(policy: str, total: int, warmup: int, start: float = 1e-3) -> list[list[float]]:
    """Rates of two groups with peaks 1 and 0.1 in every step."""
    groups: list[dict[str, Any]] = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (1.0, 0.1)]
    wrapper = OptimWrapper(torch.optim.AdamW(groups))
    schedulers = [
        PARAM_SCHEDULERS.build({**declared, "optimizer": wrapper})
        for declared in warmup_then(policy, total=total, warmup=warmup, start_lr_factor=start)
    ]
    rates = []
    for _ in range(total):
        rates.append([group["lr"] for group in wrapper.param_groups[:2]])
        wrapper.step()
        for scheduler in schedulers:
            scheduler.step()
    return rates


@pytest.mark.parametrize("warmup", [0, 1, 2, 10])
@pytest.mark.parametrize("policy", ["cosine", "linear"])
def test_decay_follows_the_formula_and_keeps_the_groups_apart(policy: str, warmup: int) -> None:
    rates = learning_rates(policy, total=50, warmup=warmup)
    for step in range(warmup, 50):
        done, steps = step - warmup, 50 - warmup
        expected = (1 + math.cos(math.pi * done / steps)) / 2 if policy == "cosine" else 1 - done / (steps - 1)
        assert rates[step] == pytest.approx([expected, 0.1 * expected], rel=1e-9, abs=1e-12)


def test_warmup_is_linear_to_the_peak() -> None:
    rates = [first for first, _ in learning_rates("cosine", total=50, warmup=10)]
    assert rates[0] == pytest.approx(1e-3)
    steps = [after - before for before, after in pairwise(rates[:10])]
    assert steps == pytest.approx([steps[0]] * 9)
    assert rates[9] == pytest.approx(1.0)
    assert rates[10] == pytest.approx(1.0)


def test_warmup_from_zero_is_maes_schedule() -> None:
    """Its adjust_learning_rate, at every step: lr x step / warmup, then half a cosine."""
    rates = learning_rates("cosine", total=50, warmup=10, start=0.0)
    cosine = [(1 + math.cos(math.pi * (step - 10) / 40)) / 2 for step in range(10, 50)]
    expected = [*(step / 10 for step in range(10)), *cosine]
    assert [first for first, _ in rates] == pytest.approx(expected, rel=1e-9, abs=1e-11)
    assert [second for _, second in rates] == pytest.approx([0.1 * rate for rate in expected], rel=1e-9, abs=1e-11)
