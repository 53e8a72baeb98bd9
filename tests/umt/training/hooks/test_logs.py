"""Scalars on disk, on TensorBoard, and on the progress line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from umt.errors import UMTError
from umt.training.engine import Recipe
from umt.training.extras import Extras
from umt.training.hooks.logs import forget_after, mean_scalars, thinned
from umt.training.hooks.progress import loss_text


def lines(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_both_logs_hold_the_same_scalars_every_ten_steps(train, recipe: Recipe, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """30 steps of a cosine."""
    train(
        replace(recipe, epochs=10, device_batch=4, warmup_epochs=0),
        work_dir=tmp_path,
        extras=Extras(loggers=("tensorboard",)),
    )
    logged = lines(tmp_path)
    assert [line["step"] for line in logged] == [10, 20, 30]
    assert set(logged[0]) == {"step", "loss", "lr", "images_per_second", "grad_norm"}
    for line in logged:
        cosine = 0.5 * (1 + math.cos(math.pi * (line["step"] - 1) / 30))
        assert line["lr"] == pytest.approx(recipe.lr * cosine, rel=1e-6), "the rate that the step was done at"
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    for name in ("loss", "lr", "grad_norm"):
        assert [(event.step, event.value) for event in board.Scalars(name)] == [
            (line["step"], pytest.approx(line[name], rel=1e-6)) for line in logged
        ]


def test_without_clipping_there_is_no_norm_and_without_loggers_no_file(train, recipe: Recipe, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    recipe = replace(recipe, epochs=4, clip_norm=None)
    train(recipe, work_dir=tmp_path / "a", extras=Extras(loggers=("tensorboard",)))
    assert "grad_norm" not in lines(tmp_path / "a")[0]
    train(recipe, work_dir=tmp_path / "b")
    assert not (tmp_path / "b" / "log.jsonl").exists()


def test_steps_that_are_done_again_are_logged_once(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"step": 10}\n{"step": 20}\n{"step": 30}\n{"st')
    forget_after(file, 20)
    assert file.read_text() == '{"step": 10}\n{"step": 20}\n'
    forget_after(tmp_path / "none", 20)


def test_means_are_over_the_lines_after_a_step(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"step": 10, "loss": 9}\n{"step": 20, "loss": 4}\n{"step": 25, "loss": 1}\n')
    assert mean_scalars(file, 10) == {"loss": 2.5}
    assert mean_scalars(file, 25) == {}
    assert mean_scalars(tmp_path / "none", 0) == {}


def test_a_curve_has_about_as_many_points_as_asked(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("".join(f'{{"step": {step}, "loss": {1 / step}}}\n' for step in range(1, 101)))
    assert thinned(file, 1000)["step"] == list(range(1, 101))
    curve = thinned(file, 30)
    assert curve["step"] == list(range(1, 101, 4))
    assert curve["loss"] == [1 / step for step in curve["step"]]
    assert thinned(tmp_path / "none", 30) == {}


def test_a_logger_without_its_package_says_how_to_get_it(
    train,  # type: ignore[no-untyped-def]
    recipe: Recipe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("umt.training.hooks.logs.find_spec", lambda name: None)
    with pytest.raises(UMTError, match="logger 'wandb': the package is not installed; pip install wandb"):
        train(recipe, extras=Extras(loggers=("wandb",)))


def test_the_progress_line_shows_parts_and_note(train, recipe: Recipe) -> None:  # type: ignore[no-untyped-def]
    texts: list[str] = []
    train(recipe, report=lambda done, total, text: texts.append(text), extras=Extras(note=lambda: "teachers 61%"))
    assert texts[-1].endswith("img/s, teachers 61%")
    values = {"loss": torch.tensor(1.25), "dino feature": torch.tensor(0.8), "dino token": torch.tensor(0.45)}
    assert loss_text(values) == "loss 1.250 (dino feature 0.800, dino token 0.450)"
    assert loss_text({"loss": torch.tensor(1.25)}) == "loss 1.250"


GOOD = b'{"step": 10, "loss": 9}\n{"step": 20, "loss": 4}\n'


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[1]",
        b"3",
        b'{"loss": 1}',
        b'{"step": "a", "loss": 1}',
        b'{"step": 15, "loss": []}',
        b"\xff",
        b"[" * 9999,
    ],
)
def test_a_malformed_line_is_left_out(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "log.jsonl"
    file.write_bytes(GOOD + line + b'\n{"step": 30, "loss": 2}\n')
    assert mean_scalars(file, 10) == {"loss": 3}
    assert thinned(file, 9) == {"step": [10, 20, 30], "loss": [9, 4, 2]}
    forget_after(file, 20)
    assert file.read_bytes() == GOOD


def test_a_linked_log_is_neither_read_nor_written_through(train, recipe: Recipe, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "target").write_bytes(GOOD)
    file = tmp_path / "log.jsonl"
    file.symlink_to("target")
    for read in (lambda: mean_scalars(file, 0), lambda: thinned(file, 9), lambda: forget_after(file, 10)):
        with pytest.raises(UMTError, match=r"log\.jsonl: scalars cannot be logged there \(is a link"):
            read()
    with pytest.raises(UMTError, match=r"log\.jsonl: scalars cannot be logged there"):
        train(recipe, work_dir=tmp_path, extras=Extras(loggers=("tensorboard",)))
    assert (tmp_path / "target").read_bytes() == GOOD
