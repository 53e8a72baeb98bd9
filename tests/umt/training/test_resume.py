"""Interruptions at their worst: kill -9, and a disk that is full while a save is written."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook

from umt.errors import UMTError
from umt.training.engine import Extras, Recipe

KILLED = Path(__file__).parent / "killed.py"
NEVER = 0


def start(folder: Path, iteration: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(KILLED), str(folder), str(iteration)])


@pytest.mark.slow
def test_a_killed_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    """With drop path, mixup, accumulation, an average and worker processes; killed between two forwards of a step."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    through = start(whole, NEVER)
    assert start(cut, 17).wait() == -signal.SIGKILL
    assert torch.load(cut / "resume.pth")["meta"]["iter"] == 12
    assert start(cut, NEVER).wait() == 0
    assert through.wait() == 0
    one, other = torch.load(whole / "end.pth"), torch.load(cut / "end.pth")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Files take 1000 bytes and no more, once the list holds something."""
    full: list[bool] = []
    make = tempfile.NamedTemporaryFile

    def limited(*args: Any, **kwargs: Any) -> Any:
        handle = make(*args, **kwargs)
        write = handle.file.write

        def checked(data: bytes) -> int:
            if full and handle.file.tell() + len(data) > 1000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return int(write(data))

        handle.write = checked
        return handle

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", limited)
    return full


def test_a_full_disk_leaves_the_save_before_it(
    train,  # type: ignore[no-untyped-def]
    recipe: Recipe,
    tmp_path: Path,
    full_disk: list[bool],
) -> None:
    whole = train(recipe, work_dir=tmp_path / "whole")
    cut = tmp_path / "cut"

    class Fill(Hook):
        def before_train_iter(self, *_: object, **__: object) -> None:
            if (cut / "resume.pth").is_file():
                full_disk.append(True)

    with pytest.raises(UMTError, match=r"resume\.pth: cannot be written \(No space left on device\); the file before"):
        train(recipe, work_dir=cut, extras=Extras(save_every=2, hooks=(Fill(),)))
    assert [path.name for path in cut.glob("*resume*")] == ["resume.pth"]
    assert not list(cut.glob(".partial-*"))
    assert torch.load(cut / "resume.pth")["meta"]["iter"] == 2
    full_disk.clear()
    resumed = train(recipe, work_dir=cut)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_what_fails_after_the_last_step_costs_no_step(
    train,  # type: ignore[no-untyped-def]
    recipe: Recipe,
    tmp_path: Path,
) -> None:
    """A test, an accelerator or a disk may fail then; the same command has nothing left to train."""
    whole = train(recipe, work_dir=tmp_path / "whole")
    steps: list[int] = []

    class Count(Hook):
        def after_train_iter(self, runner: Any, *_: object, **__: object) -> None:
            steps.append(runner.iter)

    class Fail(Count):
        def after_train(self, runner: Any) -> None:
            raise RuntimeError("no accelerator")

    with pytest.raises(RuntimeError, match="no accelerator"):
        train(recipe, work_dir=tmp_path / "cut", extras=Extras(hooks=(Fail(),)))
    assert steps
    steps.clear()
    resumed = train(recipe, work_dir=tmp_path / "cut", extras=Extras(hooks=(Count(),)))
    assert steps == []
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
