"""Curves in a folder: the file of their scalars, and Weights & Biases through a stand-in of its package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from umt.errors import PackageError, UMTError
from umt.training.curves import Curves, curves_of, forget_after, mean_scalars, thinned


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


def test_a_linked_log_is_neither_read_nor_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(GOOD)
    file = tmp_path / "log.jsonl"
    file.symlink_to("target")
    for read in (lambda: mean_scalars(file, 0), lambda: thinned(file, 9), lambda: forget_after(file, 10)):
        with pytest.raises(UMTError, match=r"log\.jsonl: scalars cannot be logged there \(is a link"):
            read()
    with pytest.raises(UMTError, match=r"log\.jsonl: scalars cannot be logged there"):
        Curves(tmp_path, 0, wandb=False)
    assert (tmp_path / "target").read_bytes() == GOOD


def test_wandb_gets_every_scalar_at_its_step(wandb: Any, tmp_path: Path) -> None:
    curves = Curves(tmp_path / "job", 0, wandb=True)
    curves.add(10, {"loss": 2.0})
    curves.add(20, {"loss": 1.0})
    curves.close()
    (run,) = wandb.RUNS
    assert run.logged == [(10, {"loss": 2.0}), (20, {"loss": 1.0})]
    assert run.finished
    assert (run.options["project"], run.options["name"]) == ("umt-bench", f"{tmp_path.name}/job")


def test_wandb_goes_on_in_the_same_run_and_a_new_training_has_another(
    wandb: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    for done in (0, 10, 0):
        Curves(tmp_path, done, wandb=True).close()
    first, resumed, anew = (run.options for run in wandb.RUNS)
    assert first["id"] == resumed["id"] != anew["id"]
    assert resumed["resume"] == "allow"
    assert first["project"] == "mine"


def test_wandb_that_was_not_asked_for_gets_nothing(wandb: Any, tmp_path: Path) -> None:
    Curves(tmp_path, 0, wandb=False).close()
    assert not wandb.RUNS


def test_without_its_package_the_option_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("umt.training.curves.find_spec", lambda name: None)
    with pytest.raises(PackageError, match="--wandb: the package wandb is not installed; pip install wandb"):
        Curves(tmp_path, 0, wandb=True)


def test_each_scalar_has_a_curve_of_means(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    lines = [f'{{"step": {step}, "loss": {step}}}\n' for step in range(10, 60, 10)]
    file.write_text("".join(lines[:2]) + '{"step": 20, "test/miou": 7}\n' + "".join(lines[2:]))
    assert curves_of(file, 9) == {
        "loss": [(10, 10), (20, 20), (30, 30), (40, 40), (50, 50)],
        "test/miou": [(20, 7)],
    }
    assert curves_of(file, 3)["loss"] == [(20, 15), (40, 35), (50, 50)]
    assert curves_of(tmp_path / "none", 3) == {}
