"""The contract of a task: a declaration, and one function from a backbone to metrics."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from benchmarks.tasks.workload import Workload
from umt.backbones import Backbone
from umt.data.contract import Dataset

Progress = Callable[[int, int, str], None]  # done, total, text ("epoch 2/3 loss 1.23")
Settings = TypeVar("Settings", covariant=True)  # the frozen dataclass that a task declares; a protocol fills it


@dataclass(frozen=True)
class Metric:
    """A number that a task measures."""

    name: str
    unit: str  # "%", "m" or "" for a plain ratio
    higher_is_better: bool = True
    signed: bool = False  # true if it may be less than 0


@dataclass(frozen=True)
class Job(Generic[Settings]):
    """Everything that a task needs; it may write below `work_dir`, its own folder, which survives an interruption."""

    backbone: Backbone
    dataset: Dataset
    settings: Settings
    seed: int
    device: torch.device
    work_dir: Path
    progress: Progress
    cache: Path | None = None  # folder of the feature cache, which jobs share; None for none
    compiled: bool = False  # true if a frozen backbone runs through torch.compile
    wandb: bool = False  # true if the curves of a training go to Weights & Biases, too


@dataclass(frozen=True)
class Outcome:
    """Results of a task."""

    metrics: Mapping[str, float]  # a value for every declared metric
    global_batch: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, np.ndarray] = field(default_factory=dict)  # values of single items, see benchmarks/scores.py
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)  # for people, by name: RGB bytes [H, W, 3]


@dataclass(frozen=True, kw_only=True)
class Task(Generic[Settings]):
    """A declaration of a task; tables show `metrics[0]`."""

    name: str
    about: str
    settings: type[Settings]
    metrics: tuple[Metric, ...]
    run: Callable[[Job[Settings]], Outcome]
    kinds: tuple[str, ...] = ("classification",)  # kinds of data sets that it takes
    workload: Callable[[Settings, Mapping[str, int]], Workload] | None = None  # (settings, items in each split)
    spreads: bool = False  # true if it trains on several processes at once; its settings are then a Recipe
    warm_up: Callable[[torch.device], None] | None = None  # tries optional accelerators; the pre-flight calls it
    trains: bool = True  # true if it reads training images
    seeded: bool = True  # true if the seed can change its numbers; otherwise a single run is enough
    reads_models: bool = False  # true if it reads models that other jobs keep, so that it runs after all others
    datasets: tuple[str, ...] = ()  # the names of data sets that stood in the place of `kinds`; goes with version 2

    def __post_init__(self) -> None:
        if self.datasets:
            warnings.warn(f"task '{self.name}': `datasets` is not read; write `kinds`", DeprecationWarning, 2)
