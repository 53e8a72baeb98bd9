"""Training by two processes, and training that is killed while it tests, end like one that was left alone."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from umt.data.sets.nyuv2 import write_mini as write_nyuv2

SCRIPT = Path(__file__).parent / "small_training.py"
Trained = tuple[dict[str, Any], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images to train, three to test."""
    root = tmp_path_factory.mktemp("nyu")
    write_nyuv2(root, ((2, 1), (2, 1)))
    return root


@pytest.fixture(scope="module")
def train() -> Callable[..., Trained]:
    return runpy.run_path(str(SCRIPT))["train"]  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def alone(data: Path, train: Callable[..., Trained], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(data, tmp_path_factory.mktemp("alone"))


def start(task: str, data: Path, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), task, str(data), str(folder)]
    return subprocess.Popen(command, env={**os.environ, **environment}, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_two_processes_end_like_one(data: Path, alone: Trained, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""}
    started = [start("two", data, tmp_path, RANK=str(rank), **world) for rank in range(2)]
    for process in started:
        assert process.wait(timeout=600) == 0, process.communicate()[1].decode()
    ends = [torch.load(tmp_path / f"end-{rank}.pth", weights_only=True) for rank in range(2)]
    values, weights = alone
    assert ends[0]["values"] == ends[1]["values"]
    assert ends[0]["values"]["best_step"] == values["best_step"]
    assert ends[0]["values"]["images"]["rmse"] == pytest.approx(values["images"]["rmse"], rel=1e-4)
    for name, value in weights.items():
        torch.testing.assert_close(ends[0]["weights"][name], value, rtol=1e-3, atol=1e-5)
        assert torch.equal(ends[0]["weights"][name], ends[1]["weights"][name])


@pytest.mark.slow
def test_killed_in_a_test_and_started_again_ends_the_same(
    data: Path, train: Callable[..., Trained], alone: Trained, tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    assert start("killed", data, folder).wait(timeout=600) == -signal.SIGKILL
    assert torch.load(folder / "resume.pth", weights_only=True)["best"]["step"] == 2  # the test of step 4 is lost
    values, weights = train(data, folder)
    expected = alone[0]
    assert {name: values[name] for name in ("rmse", "best_step", "images")} == {
        name: expected[name] for name in ("rmse", "best_step", "images")
    }
    for name, value in alone[1].items():
        assert torch.equal(weights[name], value), name


def test_the_best_of_the_tested_weights_are_reported(
    data: Path, train: Callable[..., Trained], alone: Trained, tmp_path: Path
) -> None:
    """Each test's RMSE is on its way to the metric; the lowest of them is what the last test gives."""
    from mmseg_configs import best

    seen: dict[int, float] = {}
    keep = best.BestHook.after_train_iter

    def watched(self: best.BestHook, runner: Any, *args: Any, **kwargs: Any) -> None:
        before = self.step
        keep(self, runner, *args, **kwargs)
        if self.step != before:
            seen[self.step] = self.value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best.BestHook, "after_train_iter", watched)
        values, _ = train(data, tmp_path / "watched")
    assert values["rmse"] == alone[0]["rmse"] == min(seen.values()) == seen[values["best_step"]]
    assert set(seen) <= {2, 4, 6}
