"""Stand-ins for the commands of Slurm that submitit calls: job arrays on this machine, with states in a folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

ARRAY = "1000"  # the only one that there is
STATES = Path(os.environ["SLURM_STAND_IN"])


def sbatch(script: str) -> None:
    if (STATES / "refuse").exists():
        sys.exit("sbatch: error: invalid partition specified: gpu")
    nowhere = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # submitit waits for the end of sbatch's
    subprocess.Popen([sys.executable, __file__, "schedule", script], start_new_session=True, **nowhere)
    print(f"Submitted batch job {ARRAY}")


def schedule(script: str) -> None:
    """Run the jobs of an array, so many at a time as it says."""
    found = re.search(r"--array='?0-(\d+)%(\d+)", Path(script).read_text())
    assert found, "no job array"
    waiting, room, running = list(range(int(found[1]) + 1)), int(found[2]), dict[int, subprocess.Popen[bytes]]()
    for index in waiting:
        _set(index, "PENDING")
    while waiting or running:
        while waiting and len(running) < room:
            index = waiting.pop(0)
            if _state(index) == "PENDING":
                running[index] = _start(script, index)
        for index, process in list(running.items()):
            if process.poll() is not None:
                del running[index]
                if _state(index).startswith("RUNNING"):
                    _set(index, "COMPLETED" if process.returncode == 0 else "FAILED")
                if _state(index) == "REQUEUED":
                    _set(index, "PENDING")
                    waiting.append(index)
        time.sleep(0.1)


def _start(script: str, index: int) -> subprocess.Popen[bytes]:
    variables = {"SLURM_JOB_ID": f"{2000 + index}", "SLURM_ARRAY_JOB_ID": ARRAY, "SLURM_ARRAY_TASK_ID": str(index)}
    process = subprocess.Popen(["bash", script], env=os.environ | variables, start_new_session=True)
    _set(index, f"RUNNING {process.pid}")
    return process


def srun(*arguments: str) -> None:
    command = list(arguments)
    for flag, number in (("--output", 1), ("--error", 2)):
        at = command.index(flag)
        name = command[at + 1].replace("%A", ARRAY).replace("%a", os.environ["SLURM_ARRAY_TASK_ID"]).replace("%t", "0")
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), number)
        del command[at : at + 2]
    command.remove("--unbuffered")
    os.execvp(command[0], command)


def sacct(*_: str) -> None:
    print("JobID|State|NodeList")
    for path in STATES.glob("*.state"):
        state = path.read_text()
        print(f"{ARRAY}_{path.stem}|{'RUNNING' if state.startswith('RUNNING') else state}|here")


def scontrol(_: str, job: str) -> None:
    """Put a job back into the queue, as `scontrol requeue JOB` does."""
    _set(int(job.partition("_")[2]), "REQUEUED")


def preempt(job: str) -> None:
    """Take the machine from a job as a partition with PreemptMode=REQUEUE does: a warning, then the end."""
    pid = int(_state(int(job.partition("_")[2])).split()[1])
    scontrol("requeue", job)
    _signal_step(pid, signal.SIGCONT)
    _signal_step(pid, signal.SIGTERM)
    time.sleep(2)
    os.killpg(pid, signal.SIGKILL)


def _signal_step(pid: int, number: int) -> None:
    """Send a signal to all processes of a job but its batch shell."""
    for process in psutil.Process(pid).children(recursive=True):
        process.send_signal(number)


def scancel(*arguments: str) -> None:
    """Cancel a job of the array, or all of it; or send a signal to its step, as `scancel --signal=USR2 JOB` does."""
    *options, job = arguments
    if options:
        number = signal.Signals[f"SIG{options[0].partition('=')[2]}"]
        _signal_step(int(_state(int(job.partition("_")[2])).split()[1]), number)
        return
    _, _, one = job.partition("_")
    for index in [int(one)] if one else [int(path.stem) for path in STATES.glob("*.state")]:
        state, _, pid = _state(index).partition(" ")
        if state in ("PENDING", "RUNNING"):
            _set(index, "CANCELLED by 0")
        if pid and state == "RUNNING":
            os.killpg(int(pid), signal.SIGKILL)


def _set(index: int, state: str) -> None:
    new = STATES / f"{index}.new"
    new.write_text(state)
    new.rename(STATES / f"{index}.state")


def _state(index: int) -> str:
    return (STATES / f"{index}.state").read_text()


if __name__ == "__main__":
    COMMANDS = (sbatch, schedule, srun, sacct, scancel, scontrol, preempt)
    {command.__name__: command for command in COMMANDS}[sys.argv[1]](*sys.argv[2:])
