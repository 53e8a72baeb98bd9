"""Scalars of a training on disk, on TensorBoard, and on the progress line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer import event_file_writer
from tensorboard.summary.writer.event_file_writer import AtomicCounter
from torch import Tensor

from umt.training.curves import Curves
from umt.training.engine import Extras, Recipe
from umt.training.hooks.progress import Losses

Train = Callable[..., dict[str, Tensor]]


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def points(folder: Path, name: str) -> list[tuple[int, float]]:
    """Return the points that TensorBoard shows of a scalar."""
    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    return [(event.step, event.value) for event in board.Scalars(name)]


def test_both_logs_hold_the_same_scalars_every_ten_steps(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    """30 steps of a cosine."""
    train(replace(recipe, epochs=10, device_batch=4, warmup_epochs=0), work_dir=tmp_path)
    logged = lines(tmp_path)
    assert [line["step"] for line in logged] == [10, 20, 30]
    assert set(logged[0]) == {"step", "loss", "lr", "images_per_second", "grad_norm"}
    for line in logged:
        cosine = 0.5 * (1 + math.cos(math.pi * (line["step"] - 1) / 30))
        assert line["lr"] == pytest.approx(recipe.lr * cosine, rel=1e-6), "the rate that the step was done at"
    for name in ("loss", "lr", "grad_norm"):
        assert points(tmp_path, name) == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in logged]


def test_without_clipping_there_is_no_norm(train: Train, recipe: Recipe, tmp_path: Path) -> None:
    train(replace(recipe, epochs=4, clip_norm=None), work_dir=tmp_path)
    assert "grad_norm" not in lines(tmp_path)[0]


class Stop(Hook):
    """Ends a run after a forward, as an interruption does."""

    def after_train_iter(self, runner, *_: object, **__: object) -> None:  # type: ignore[no-untyped-def]
        if runner.iter + 1 == 24:
            raise KeyboardInterrupt


def test_an_interrupted_training_has_the_curves_of_one_that_was_not(
    train: Train, recipe: Recipe, tmp_path: Path
) -> None:
    """It stops at step 24 after a save at step 15: step 20 is logged twice, and shown once."""
    recipe = replace(recipe, epochs=10)
    train(recipe, work_dir=tmp_path / "through")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, work_dir=tmp_path / "cut", extras=Extras(save_every=15, hooks=(Stop(),)))
    assert [line["step"] for line in lines(tmp_path / "cut")] == [10, 20]
    assert [step for step, _ in points(tmp_path / "cut", "loss")] == [10, 20], "written although the training ended so"
    train(recipe, work_dir=tmp_path / "cut")
    for name in ("loss", "lr", "grad_norm"):
        assert points(tmp_path / "cut", name)[:2] == points(tmp_path / "through", name)[:2]
        assert [step for step, _ in points(tmp_path / "cut", name)] == [10, 20, 30]
    assert [line["step"] for line in lines(tmp_path / "cut")] == [10, 20, 30]


def test_curves_that_go_on_within_the_same_second_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, TensorBoard reads the 10th file of a process before the 9th one of the same second."""
    monkeypatch.setattr(event_file_writer, "_global_uid", AtomicCounter(9))
    for done, steps in ((0, (10, 20)), (15, (20, 30))):
        curves = Curves(tmp_path, done, wandb=False)
        for step in steps:
            curves.add(step, {"loss": step + done})
        curves.close()
    assert points(tmp_path, "loss") == [(10, 10), (20, 35), (30, 45)]


def test_the_progress_line_shows_parts_and_note(train: Train, recipe: Recipe) -> None:
    texts: list[str] = []
    train(recipe, report=lambda done, total, text: texts.append(text), extras=Extras(note=lambda: "teachers 61%"))
    assert texts[-1].endswith("img/s, teachers 61%")
    values = {"loss": torch.tensor(1.25), "dino feature": torch.tensor(0.8), "dino token": torch.tensor(0.45)}
    assert str(Losses(values)) == "loss 1.250 (dino feature 0.800, dino token 0.450)"
    assert str(Losses({"loss": torch.tensor(1.25)})) == "loss 1.250"
    two = {"cnn loss": torch.tensor(0.5), "cnn dino feature": torch.tensor(0.5), "vit loss": torch.tensor(0.75)}
    assert str(Losses({"loss": torch.tensor(1.25)} | two)) == "loss 1.250 (cnn loss 0.500, vit loss 0.750)"
