"""The curves of a training in its folder: a plain file, TensorBoard, and Weights & Biases on request."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol
from uuid import uuid4

from umt.errors import PackageError, UMTError, WriteError
from umt.files import atomic_file, component, open_plain, read_plain

LOG_FILE = "log.jsonl"
TENSORBOARD_FOLDER = "tensorboard"
WANDB_ID_FILE = "wandb-id.txt"
WANDB_PROJECT = "umt-bench"  # unless the variable of this name says otherwise
MAX_ID_BYTES = 100
MAX_LOG_BYTES = 1 << 28  # a million lines have half of it

Scalars = Mapping[str, float]
Curve = list[tuple[float, float]]  # steps and values


class Curves:
    """The scalars of a training by its steps, each step once.

    done: the steps up to the save that the training goes on from. An interrupted training may have logged later ones,
    which are done again: they are removed from the file and hidden in TensorBoard, and W&B keeps the first ones.
    """

    def __init__(self, folder: Path, done: int, *, wandb: bool) -> None:
        self.file = folder / LOG_FILE
        forget_after(self.file, done)
        self.writers: list[_Writer] = [_TensorBoard(folder, done)]
        if wandb:
            self.writers.append(_WandB(folder, done))

    def add(self, step: int, scalars: Scalars) -> None:
        """Add the scalars of a step; UMTError if the disk is full or the file is no plain file."""
        try:
            with open_plain(self.file, "ab") as handle:
                handle.write(json.dumps({"step": step, **scalars}).encode() + b"\n")
            for writer in self.writers:
                writer.add(step, scalars)
        except OSError as error:
            raise _unusable(self.file, error) from error

    def close(self) -> None:
        """Write what is still in memory."""
        for writer in self.writers:
            writer.close()


class _Writer(Protocol):
    def add(self, step: int, scalars: Scalars) -> None: ...

    def close(self) -> None: ...


class _TensorBoard:
    def __init__(self, folder: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import

        # TensorBoard reads its files in the order of their names: seconds first, then numbers in the order of letters
        if any((folder / TENSORBOARD_FOLDER).glob(f"events.out.tfevents.{int(time.time())}.*")):
            time.sleep(1)
        self.writer = SummaryWriter(str(folder / TENSORBOARD_FOLDER), purge_step=done + 1)

    def add(self, step: int, scalars: Scalars) -> None:
        for name, value in scalars.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()


class _WandB:
    def __init__(self, folder: Path, done: int) -> None:
        require_wandb()
        import wandb

        self.run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", WANDB_PROJECT),
            name=f"{folder.parent.name}/{folder.name}",  # as in OUT/work/BACKBONE/JOB
            dir=str(folder),
            id=_wandb_id(folder / WANDB_ID_FILE, done),
            resume="allow",
            reinit=True,  # a run that an error left open in this process ends
        )

    def add(self, step: int, scalars: Scalars) -> None:
        self.run.log(dict(scalars), step=step)

    def close(self) -> None:
        self.run.finish()


def require_wandb() -> None:
    """Raise UMTError if Weights & Biases is asked for and not installed."""
    if not find_spec("wandb"):
        raise PackageError("--wandb: the package wandb is not installed; pip install wandb, or leave --wandb out")


def mean_scalars(file: Path, after: int) -> dict[str, float]:
    """Return each scalar's mean over the lines after a step, which are means themselves; empty if none was logged."""
    late = [line for line in _lines(file) if line["step"] > after]
    return {
        name: fmean(line[name] for line in late if name in line)
        for name in (late[-1] if late else {})
        if name != "step"
    }


def thinned(file: Path, points: int) -> dict[str, list[float]]:
    """Return each scalar's values at about so many of the logged steps, the steps under "step"; for a curve."""
    lines = _lines(file)
    lines = [line for line in lines if lines[0].keys() <= line.keys()]
    sparse_lines = lines[:: max(1, -(-len(lines) // points))]
    return {name: [line[name] for line in sparse_lines] for name in (lines[0] if lines else {})}


def curves_of(file: Path, points: int) -> dict[str, Curve]:
    """Return the curve of each scalar, thinned by means over neighbours to at most so many points."""
    lines = _lines(file)
    names = dict.fromkeys(name for line in lines for name in line if name != "step")
    return {name: _means([(line["step"], line[name]) for line in lines if name in line], points) for name in names}


def _means(curve: Curve, points: int) -> Curve:
    """Return the mean of each few neighbours, at the last one's step."""
    size = max(1, -(-len(curve) // points))
    parts = [curve[start : start + size] for start in range(0, len(curve), size)]
    return [(part[-1][0], fmean(value for _, value in part)) for part in parts]


def forget_after(file: Path, step: int) -> None:
    """Remove the lines of steps that an interrupted run did after its last save: they are done again."""
    lines = _lines(file)
    if file.is_file():
        with atomic_file(file) as handle:
            handle.writelines(json.dumps(line).encode() + b"\n" for line in lines if line["step"] <= step)


def _wandb_id(path: Path, done: int) -> str:
    """Return the name of the W&B run: the stored one if the training goes on, else a new one."""
    with suppress(OSError):
        if done:
            return component(read_plain(path, max_bytes=MAX_ID_BYTES).decode(errors="replace"))
    name = uuid4().hex
    with atomic_file(path) as handle:
        handle.write(name.encode())
    return name


def _lines(file: Path) -> list[dict[str, float]]:
    """Return the lines of a log that hold the scalars of a step; UMTError if it is a link or the like."""
    try:
        content = read_plain(file, max_bytes=MAX_LOG_BYTES)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unusable(file, error) from error
    return [line for line in map(_parsed, content.splitlines()) if "step" in line]


def _parsed(line: bytes) -> dict[str, Any]:
    """Return the scalars of a line; empty if it holds anything else, such as a line that was cut."""
    with suppress(ValueError, RecursionError):
        scalars = json.loads(line)
        if isinstance(scalars, dict) and all(isinstance(value, (int, float)) for value in scalars.values()):
            return scalars
    return {}


def _unusable(file: Path, error: OSError) -> UMTError:
    return WriteError(f"{file}: scalars cannot be logged there ({error.strerror}); remove it")
