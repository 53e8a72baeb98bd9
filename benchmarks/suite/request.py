"""A planned job in plain values, and how a job ended."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.results import Key
from benchmarks.suite.protocols import Protocol


@dataclass(frozen=True)
class SentProtocol:
    """A resolved protocol on its way to a job: only who unpacks it imports its task, and torch with that."""

    content: bytes

    @classmethod
    def of(cls, protocol: Protocol[Any]) -> SentProtocol:
        """Pack a protocol."""
        return cls(pickle.dumps(protocol))

    def unpacked(self) -> Protocol[Any]:
        """Return the protocol."""
        protocol: Protocol[Any] = pickle.loads(self.content)  # bytes of this program, as multiprocessing sends them
        return protocol


@dataclass(frozen=True)
class JobRequest:
    """A planned job, in plain values, so that it can be sent to another process or machine."""

    key: Key
    spec: str
    protocol: SentProtocol  # resolved: the job reads no file of it again
    data_root: Path  # folder of the data set itself
    suite: str
    device: str
    out: Path
    threads: int = 0  # threads of the CPU, 0 for torch's default
    cache: Path | None = None  # folder of the feature cache, None for the one below `out`
    compiled: bool = False  # true if frozen backbones run through torch.compile
    wandb: bool = False  # true if the curves of trainings go to Weights & Biases, too
    processes: int = 1  # processes that share the job
    reads_models: bool = False  # true if it reads models that other jobs keep
    stamp: tuple[int, ...] | None = None  # of the file of weights that the plan hashed
    trusted: bool = False  # true if a person typed the spec, so that it may run code
    facts: Sequence[tuple[str, Any]] = field(default=(), compare=False, repr=False)  # of the plan's BuildRecord

    @property
    def title(self) -> str:
        return self.key.title

    @property
    def log(self) -> Path:
        return self.out / "logs" / f"{self.key.stem}.log"

    @property
    def cache_dir(self) -> Path:
        return self.cache or self.out / "cache"

    @property
    def work_dir(self) -> Path:
        return self.out / "work" / self.key.stem


@dataclass(frozen=True)
class JobReport:
    """End of a job: 'done', 'failed', or 'elsewhere' if another process is running it."""

    status: str
    message: str = ""
    seconds: float = 0.0
