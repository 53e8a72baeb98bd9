"""Two processes on one machine against one process: copies, shares, interruptions, and trouble on one of them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from torch import Tensor, nn

from umt.errors import UMTError
from umt.training.engine import Extras, Recipe
from umt.training.parallel import unsynced_batchnorm

State = dict[str, Tensor]
WORKER = Path(__file__).parent / "one_of_two.py"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the files that two processes left behind."""
    folder = tmp_path_factory.mktemp("two")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "CUDA_VISIBLE_DEVICES": ""}
    started = [
        subprocess.Popen(
            [sys.executable, str(WORKER), str(folder)],
            env={**os.environ, **common, "RANK": rank, "LOCAL_RANK": rank},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]
    errors = [process.communicate(timeout=300)[1] for process in started]
    assert [process.returncode for process in started] == [0, -signal.SIGKILL], errors  # the second dies in the end
    return folder


@pytest.fixture
def one(train, recipe: Recipe, tmp_path: Path) -> State:  # type: ignore[no-untyped-def]
    """The same twenty steps in one process, one forward a step."""
    state: State = train(replace(recipe, epochs=20 * 8 / 24), work_dir=tmp_path / "one", extras=Extras(ema=0.5))
    return state


def read(runs: Path, name: str) -> State:
    state: State = torch.load(runs / f"{name}.pth")
    return state


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_equal_one_at_the_same_global_batch(runs: Path, one: State, parallel: str) -> None:
    two = read(runs, f"{parallel}-0")
    assert two.keys() == one.keys()
    for name, value in one.items():
        assert type(two[name]) is Tensor, "a plain tensor, whole"
        assert (two[name] - value).norm() <= 1e-5 * value.norm(), name


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_all_processes_hold_the_same_weights_in_the_end(runs: Path, parallel: str) -> None:
    first, second = (read(runs, f"{parallel}-{rank}") for rank in (0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_an_interrupted_run_of_two_ends_in_the_same_weights(runs: Path, parallel: str) -> None:
    through, resumed = read(runs, f"{parallel}-0"), read(runs, f"{parallel}-resumed-0")
    assert all(torch.equal(through[name], resumed[name]) for name in through)


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_the_save_of_two_goes_on_in_one(runs: Path, train, recipe: Recipe, one: State, parallel: str) -> None:  # type: ignore[no-untyped-def]
    """The file holds plain, whole tensors, whoever wrote it."""
    recipe = replace(recipe, epochs=20 * 8 / 24, device_batch=4)  # as many forwards a step as each of the two did
    begun: list[int] = []
    state = train(
        recipe,
        work_dir=runs / f"{parallel}-interrupted",
        extras=Extras(ema=0.5),
        report=lambda done, *_: begun.append(done),
    )
    assert begun[0] == 20, "it tells first from where it goes on"
    assert all((state[name] - value).norm() <= 1e-5 * value.norm() for name, value in one.items())


@pytest.mark.slow
def test_trouble_on_one_process_stops_both_and_saves_nothing_after(runs: Path) -> None:
    first, second = ((runs / f"poisoned-{rank}.txt").read_text() for rank in (0, 1))
    assert "iteration 7: loss is not finite on another process; the last good checkpoint is" in first
    assert "iteration 7: loss is nan; the last good checkpoint is" in second
    assert torch.load(runs / "poisoned" / "resume.pth")["meta"]["iter"] == 6
    assert "(step 3)" in first


@pytest.mark.slow
def test_a_process_that_dies_is_told_by_the_other_and_its_work_goes_on(
    runs: Path,
    train,  # type: ignore[no-untyped-def]
    recipe: Recipe,
    one: State,
) -> None:
    said = (runs / "lost-0.txt").read_text()
    assert said.startswith("process 0 has lost its connection to the other processes (")
    assert said.endswith("read the error of the process that ended first; the same command goes on from the last save")
    assert not (runs / "lost-1.txt").exists()
    assert torch.load(runs / "lost" / "resume.pth")["meta"]["iter"] == 6
    recipe = replace(recipe, epochs=20 * 8 / 24, device_batch=4)  # as many forwards a step as each of the two did
    state = train(recipe, work_dir=runs / "lost", extras=Extras(ema=0.5))
    assert all((state[name] - value).norm() <= 1e-5 * value.norm() for name, value in one.items())


def test_batchnorm_is_not_lonely_in_one_process() -> None:
    assert not unsynced_batchnorm(nn.BatchNorm2d(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parallel": "fsdb"}, "unknown parallel 'fsdb'. Did you mean fsdp"),
        ({"ema": 1.0}, "ema 1.0: take a decay between 0 and 1"),
        ({"save_every": 0}, "save_every 0: take at least 1"),
    ],
)
def test_extras_that_cannot_be_say_why(options: dict[str, object], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        Extras(**options)  # type: ignore[arg-type]


def test_hooks_of_the_caller_are_called(train, recipe: Recipe) -> None:  # type: ignore[no-untyped-def]
    class Count(Hook):
        calls = 0

        def after_train_iter(self, *_: object, **__: object) -> None:
            self.calls += 1

    hook = Count()
    train(recipe, extras=Extras(hooks=(hook,)))
    assert hook.calls == recipe.steps(24)
