"""A probe that is killed in training or in its test goes on, and ends as if nothing had happened."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmseg_configs.runner import train_and_test
from umt.data.contract import Dataset
from umt.training.engine import RunContext
from umt.training.hooks.saving import RESUME_FILE

pytestmark = pytest.mark.slow

Trained = tuple[dict[str, Any], dict[str, torch.Tensor]]
SCRIPT = Path(__file__).with_name("small_probe.py")


@pytest.fixture(scope="module")
def module() -> Any:
    spec = importlib.util.spec_from_file_location("small_probe", SCRIPT)
    assert spec
    assert spec.loader
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def finish(module: Any, rooms: Dataset, folder: Path) -> Trained:
    """Values and weights at the end."""
    parts = module.probe(rooms.root)
    context = RunContext(torch.device("cpu"), folder, 0, lambda done, total, text: None)
    return train_and_test(parts, module.SETTINGS, context), parts.model.state_dict()


@pytest.fixture(scope="module")
def whole(module: Any, rooms: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return finish(module, rooms, tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("moment", ["training", "test"])
def test_killed_and_started_again(module: Any, rooms: Dataset, whole: Trained, tmp_path: Path, moment: str) -> None:
    command = [sys.executable, str(SCRIPT), str(rooms.root), str(tmp_path / "killed"), moment]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert (tmp_path / "killed" / RESUME_FILE).is_file()
    again, resumed = finish(module, rooms, tmp_path / "killed")
    np.testing.assert_equal(again, whole[0])
    for name, value in whole[1].items():
        assert torch.equal(resumed[name], value), name
