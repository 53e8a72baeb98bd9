"""A probe that two processes train and test together ends like one that was trained alone at the same global batch."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from umt.data.contract import Dataset

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("small_probe.py")


def start_two(rooms: Dataset, folder: Path, mode: str) -> list[subprocess.Popen[bytes]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(SCRIPT), str(rooms.root), str(folder), mode]
    return [
        subprocess.Popen(command, env={**os.environ, **world, "RANK": str(rank)}, stderr=subprocess.PIPE)
        for rank in range(2)
    ]


@pytest.fixture(scope="module")
def two(rooms: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the values that each of the processes ended with."""
    folder = tmp_path_factory.mktemp("two")
    for process in start_two(rooms, folder, "two"):
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said.decode()
    return [torch.load(folder / f"end-{rank}.pth", weights_only=True) for rank in range(2)]


def test_both_end_the_same(two: list[dict[str, Any]]) -> None:
    first, second = two
    assert first["values"] == second["values"]
    for images in zip(first["areas"], second["areas"], strict=True):
        torch.testing.assert_close(*images, rtol=0, atol=0)
    assert all(torch.equal(value, second["weights"][name]) for name, value in first["weights"].items())


def test_two_processes_end_like_one(two: list[dict[str, Any]], rooms: Dataset, tmp_path: Path) -> None:
    values, weights = runpy.run_path(str(SCRIPT))["train_alike"](rooms.root, tmp_path / "alone")
    assert weights["decode_head.conv_seg.weight"].norm() > 0.1, "something was learnt"
    for name, value in weights.items():
        torch.testing.assert_close(two[0]["weights"][name], value, rtol=1e-4, atol=1e-6)
    assert two[0]["values"]["class_iou"] == pytest.approx(values["class_iou"], abs=0.1)  # a pixel at a tie may flip
    assert two[0]["values"]["miou"] == pytest.approx(values["miou"], abs=0.1)


def test_a_process_that_dies_is_told_by_the_other(rooms: Dataset, tmp_path: Path) -> None:
    processes = start_two(rooms, tmp_path, "lost")
    said = [process.communicate(timeout=300)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, -signal.SIGKILL], said
    told = (tmp_path / "lost-0.txt").read_text()
    assert told.startswith("process 0 has lost its connection to the other processes (")
    assert told.endswith("the same command goes on from the last save")
