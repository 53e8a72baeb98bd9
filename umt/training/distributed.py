"""The connection to the other processes of a training that torchrun or Slurm started."""

from __future__ import annotations

import atexit
import os
import subprocess
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from umt.errors import DeviceError, ProcessError, first_line

FIRST_PORT = 20_000  # Slurm jobs are spread over ports from here on, so that two jobs on a machine do not meet


@dataclass(frozen=True)
class Processes:
    """The rank of this process among those that train together."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0  # rank among the processes on this machine: its GPU

    @property
    def main(self) -> bool:
        """True for the process that writes files and reports."""
        return self.rank == 0


def init_distributed() -> Processes:
    """Read the variables of torchrun or Slurm in the environment, and connect to the other processes, if there are any.

    They talk through NCCL if the machine has GPUs, each process with its own GPU, and through Gloo otherwise. A Slurm
    job script that was not started with srun is a single process.
    """
    if "RANK" not in os.environ and "SLURM_STEP_ID" in os.environ and _number(_tasks(os.environ), 1) > 1:
        slurm_to_torchrun(os.environ)
    processes = Processes(_number("RANK", 0), _number("WORLD_SIZE", 1), _number("LOCAL_RANK", 0))
    if processes.world > 1 and not distributed.is_initialized():
        _connect(processes)
    return processes


@contextmanager
def distributed_errors() -> Iterator[None]:
    """Raise UMTError in place of the errors of Gloo or NCCL if another process has gone."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise ProcessError(
            f"process {distributed.get_rank()} has lost its connection to the other processes ({first_line(error)}); "
            "read the error of the process that ended first; the same command goes on from the last save"
        ) from error


def slurm_to_torchrun(environment: MutableMapping[str, str]) -> None:
    """Set torchrun's variables from Slurm's own; variables that are set already stay."""
    job = int(environment.get("SLURM_JOB_ID", 0))
    translated = {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment[_tasks(environment)],
        "LOCAL_RANK": environment.get("SLURM_LOCALID", "0"),
        "MASTER_PORT": str(FIRST_PORT + job % FIRST_PORT),
    }
    if "MASTER_ADDR" not in environment:
        translated["MASTER_ADDR"] = _first_host(environment.get("SLURM_NODELIST", ""))
    for name, value in translated.items():
        environment.setdefault(name, value)


def _tasks(environment: Mapping[str, str]) -> str:
    """Name the variable that counts the processes: an interactive step has one, whatever its job was given."""
    return "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in environment else "SLURM_NTASKS"


def _first_host(nodes: str) -> str:
    command = ["scontrol", "show", "hostnames", nodes]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise DeviceError(
            f"SLURM_NODELIST '{nodes}': scontrol does not say its first host; set MASTER_ADDR to the host of task 0"
        ) from error


def _connect(processes: Processes) -> None:
    gpus = torch.cuda.device_count()
    if gpus:
        if processes.local_rank >= gpus:
            raise DeviceError(
                f"LOCAL_RANK is {processes.local_rank}, but this machine has {gpus} GPUs; start one process a GPU"
            )
        torch.cuda.set_device(processes.local_rank)
    try:
        distributed.init_process_group("nccl" if gpus else "gloo")
    except ValueError as error:  # torch names the variable that is missing
        raise DeviceError(f"WORLD_SIZE is {processes.world}, but {error}; start with torchrun or srun") from error
    atexit.register(_disconnect)


def _disconnect() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit():
        raise DeviceError(f"environment variable {name} is '{text}', expected a number; start with torchrun or srun")
    return int(text)
