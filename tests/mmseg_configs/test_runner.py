"""The Runner of dense tasks: accumulation, resuming, errors in the middle, silence."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from mmseg_configs.ade20k import ADE20KSettings
from mmseg_configs.runner import Parts, dense_training, train_and_test
from umt.errors import UMTError
from umt.training import batches
from umt.training.engine import Extras, RunContext
from umt.training.hooks.saving import RESUME_FILE
from umt.training.optim_wrapper import AutocastOptimWrapper


def head_of(parts: Parts) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in parts.model.decode_head.state_dict().items()}


def train(parts: Parts, settings: ADE20KSettings, context: RunContext) -> None:
    with dense_training(parts, settings, context) as runner:
        runner.train()


def test_training_moves_the_head_and_nothing_else(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext, capfd: Any
) -> None:
    parts = make_parts()
    backbone = parts.model.backbone.backbone.weights_hash()
    with dense_training(parts, settings, context) as runner:
        runner.train()
    trained = {id(parameter) for group in parts.optimizer.param_groups for parameter in group["params"]}
    assert trained == {id(parameter) for parameter in runner.model.decode_head.parameters()}
    assert all(
        len(parts.optimizer.state[parameter]) for group in parts.optimizer.param_groups for parameter in group["params"]
    )
    assert runner.model.backbone.backbone.weights_hash() == backbone
    assert capfd.readouterr() == ("", "")


def test_accumulation_equals_one_large_batch(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext
) -> None:
    """Without BatchNorm, whose statistics belong to the micro batch; the learning rate changes at every step."""
    heads = []
    for bn_batch in (4, 2, 1):
        changed = dataclasses.replace(settings, bn_batch=bn_batch)
        parts = make_parts(bn_batch=bn_batch)
        parts.model.decode_head.norm = nn.Identity()
        folder = dataclasses.replace(context, work_dir=context.work_dir / str(bn_batch))
        train(parts, changed, folder)
        heads.append(head_of(parts)["conv_seg.weight"])
    torch.testing.assert_close(heads[1], heads[0], rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(heads[2], heads[0], rtol=1e-5, atol=1e-7)


def test_learning_rate_warms_up_and_falls_to_zero_at_the_last_step(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext
) -> None:
    changes = {"iterations": 8, "warmup": 3, "warmup_start": 1e-6, "batch": 2, "bn_batch": 1}
    parts = make_parts(**changes)
    rates: list[float] = []
    step = parts.optimizer.step
    parts.optimizer.step = lambda: (rates.append(parts.optimizer.param_groups[0]["lr"]), step())  # type: ignore
    train(parts, dataclasses.replace(settings, **changes), context)
    warm = [1e-3 * (1e-6 + (1 - 1e-6) * index / 2) for index in range(3)]
    fall = [1e-3 * (1 - index / 4) for index in range(5)]
    assert rates[:3] == pytest.approx(warm)
    assert rates[3:] == pytest.approx(fall)


def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext
) -> None:
    changes = {"iterations": 5, "batch": 2, "bn_batch": 1, "dropout": 0.5}
    changed = dataclasses.replace(settings, **changes)
    whole = make_parts(**changes)
    expected = train_and_test(whole, changed, dataclasses.replace(context, work_dir=context.work_dir / "whole"))

    class KilledError(Exception):
        pass

    def kill(parts: Parts) -> None:
        steps = iter(range(10))
        step = parts.optimizer.step

        def stop_in_the_fourth() -> None:
            if next(steps) == 3:
                raise KilledError
            step()

        parts.optimizer.step = stop_in_the_fourth  # type: ignore[method-assign, assignment]

    stopped = dataclasses.replace(context, work_dir=context.work_dir / "stopped")
    first = make_parts(**changes)
    kill(first)
    with pytest.raises(KilledError):
        train_and_test(first, changed, stopped, Extras(save_seconds=0))
    assert torch.load(stopped.work_dir / RESUME_FILE, weights_only=True)["meta"]["iter"] == 6
    torch.manual_seed(1234)
    second = make_parts(**changes)
    np.testing.assert_equal(train_and_test(second, changed, stopped), expected)
    for name, value in head_of(whole).items():
        torch.testing.assert_close(head_of(second)[name], value, rtol=0, atol=0)


def test_curves_hold_losses_and_the_tests_between_steps(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext
) -> None:
    changes = {"iterations": 12, "batch": 1, "bn_batch": 1, "best_on_test": 6}
    train_and_test(make_parts(**changes), dataclasses.replace(settings, **changes), context)
    board = EventAccumulator(str(context.work_dir / "tensorboard"))
    board.Reload()
    assert {"decode.loss_ce", "loss", "lr", "images_per_second", "test/miou"} <= set(board.Tags()["scalars"])
    assert [event.step for event in board.Scalars("loss")] == [10, 12]
    assert [event.step for event in board.Scalars("test/miou")] == [6, 12]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_file_in_the_middle_is_one_line(
    make_parts: Callable[..., Parts],
    settings: ADE20KSettings,
    context: RunContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    workers: int,
) -> None:
    monkeypatch.setattr(batches, "worker_count", lambda images: workers)
    parts = make_parts()
    bad = tmp_path / "bad.png"
    Image.new("L", (7, 5)).save(bad)
    monkeypatch.setattr(parts.train_set, "get_data_info", _pointing_to(parts, str(bad)))
    with pytest.raises(UMTError) as caught:
        train_and_test(parts, settings, context)
    assert str(caught.value).startswith(f"{bad}: shape 5x7, its image room_")
    assert "\n" not in str(caught.value)


def _pointing_to(parts: Parts, annotation: str) -> Callable[[int], dict[str, Any]]:
    original = parts.train_set.get_data_info
    return lambda index: {**original(index), "seg_map_path": annotation}


def test_a_loss_that_is_no_number_stops_the_run_with_one_line(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext
) -> None:
    parts = make_parts()
    step = parts.optimizer.step

    def poison() -> None:
        step()
        parts.optimizer.param_groups[0]["params"][0].data.fill_(float("nan"))

    parts.optimizer.step = poison  # type: ignore[method-assign, assignment]
    with pytest.raises(UMTError, match=r"iteration 2: .* is nan; no checkpoint was saved before; lower lr") as caught:
        train_and_test(parts, settings, context)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("precision", "autocast"), [("fp32", False), ("bf16", True)])
def test_precision_is_that_of_the_protocol(
    make_parts: Callable[..., Parts], settings: ADE20KSettings, context: RunContext, precision: str, autocast: bool
) -> None:
    with dense_training(make_parts(), dataclasses.replace(settings, precision=precision), context) as runner:
        assert isinstance(runner.optim_wrapper, AutocastOptimWrapper) is autocast
        runner.train()
    assert all(torch.isfinite(value).all() for value in runner.model.decode_head.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bn_batch": 3}, "'bn_batch' is 3; it must be a divisor of batch = 4"),
        ({"warmup": 3}, "'warmup' is 3; it must be less than iterations = 3"),
        ({"precision": "fp8"}, "'precision' is 'fp8'"),
        ({"test_mode": "tiles"}, "'test_mode' is 'tiles'"),
    ],
)
def test_settings_that_do_not_hold(settings: ADE20KSettings, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        dataclasses.replace(settings, **change)
