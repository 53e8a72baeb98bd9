"""The variables of torchrun and Slurm in the environment, and the errors if some are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from umt.errors import UMTError
from umt.training.distributed import Processes, init_distributed, slurm_to_torchrun

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_STEP_ID", "SLURM_NTASKS")
COUNT = "SLURM_STEP_NUM_TASKS"
SLURM = {"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "123456"}


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, COUNT):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in that knows two hosts, and refuses any other list."""
    program = tmp_path / "scontrol"
    program.write_text('#!/bin/sh\n[ "$1 $2 $3" = "show hostnames node[7-8]" ] && printf "node7\\nnode8\\n"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_without_a_launcher_there_is_one_process() -> None:
    assert init_distributed() == Processes(0, 1, 0)
    assert init_distributed().main


def test_a_slurm_script_without_srun_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    assert init_distributed() == Processes(0, 1, 0)


def test_an_interactive_step_is_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """`salloc -n 8` allocates eight tasks, and its shell is a step with one."""
    for name, value in {**SLURM, "SLURM_STEP_ID": "4294967290", COUNT: "1"}.items():
        monkeypatch.setenv(name, value)
    assert init_distributed() == Processes(0, 1, 0)


def test_a_step_of_fewer_tasks_than_its_job_has_so_many_processes() -> None:
    environment = {**SLURM, COUNT: "2", "MASTER_ADDR": "here"}
    slurm_to_torchrun(environment)
    assert environment["WORLD_SIZE"] == "2"


@pytest.mark.usefixtures("scontrol")
def test_slurm_is_translated() -> None:
    environment = {**SLURM, "SLURM_NODELIST": "node[7-8]"}
    slurm_to_torchrun(environment)
    said = {name: environment[name] for name in NAMES[:5]}
    assert said == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "node7",
        "MASTER_PORT": str(20_000 + 123456 % 20_000),
    }


def test_an_address_that_is_given_is_taken() -> None:
    environment = {**SLURM, "MASTER_ADDR": "here", "MASTER_PORT": "1234"}
    slurm_to_torchrun(environment)
    assert (environment["MASTER_ADDR"], environment["MASTER_PORT"]) == ("here", "1234")


@pytest.mark.usefixtures("scontrol")
def test_a_first_host_that_slurm_does_not_say_is_asked_for() -> None:
    with pytest.raises(UMTError, match=r"SLURM_NODELIST 'x': scontrol does not say .* set MASTER_ADDR"):
        slurm_to_torchrun({**SLURM, "SLURM_NODELIST": "x"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("WORLD_SIZE", "two", "WORLD_SIZE is 'two', expected a number"), ("WORLD_SIZE", "2", "WORLD_SIZE is 2, but")],
)
def test_half_an_environment_is_an_error(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv(name, value)
    with pytest.raises(UMTError, match=message):
        init_distributed()
