"""The options of a run, as the command line and Python give them, and the backbones among them."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.jobs.limits import JobLimits
from umt.backbones.spec import BackboneName, read_name, told_apart
from umt.errors import BackboneError, OptionError
from umt.training.curves import require_wandb

if TYPE_CHECKING:
    from torch import nn

    from umt.backbones import Backbone, Preprocess
    from umt.backbones.adapters.module_adapter import FeaturesOf

PathLike: TypeAlias = "str | os.PathLike[str]"
OneBackbone: TypeAlias = "PathLike | nn.Module"
Backbones: TypeAlias = "OneBackbone | Iterable[OneBackbone] | Mapping[str, OneBackbone]"


class UsageError(OptionError):
    """An argument is missing that others need; the command shows its usage, too."""


@dataclass(frozen=True)
class RunOptions:
    """The arguments of `evaluate`, which are the options of `umt run`."""

    backbones: tuple[BackboneName, ...]  # empty: the suite's example
    suite: str
    data_root: Path | None = None
    data: Mapping[str, Path] = field(default_factory=dict)  # folders of single data sets
    out: Path | None = None
    tasks: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()  # instead of those of the suite
    tables: str | None = None
    resolutions: tuple[int, ...] = ()  # pixels, instead of those of the protocols
    train: bool = False  # the students of the tables
    yes: bool = False  # train without asking
    trust: tuple[str, ...] = ()
    seeds: int | None = None
    device: str = "auto"
    workers: int | None = None
    processes: int = 1
    cache: Path | None = None
    time_limit: float | None = None  # minutes
    memory_limit: float | None = None  # GB
    compiled: bool = False
    wandb: bool = False
    cluster: str | None = None
    cluster_options: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = False
    models: Mapping[str, Backbone] = field(default_factory=dict)  # by the label of the name that they stand for

    def __post_init__(self) -> None:
        for name, least in (("seeds", 1), ("workers", 0), ("processes", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise OptionError(f"{name} is {value}; take {least} or more")
        if any(resolution < 1 for resolution in self.resolutions):
            raise OptionError(f"resolutions are {', '.join(map(str, self.resolutions))}; take 1 pixel or more")
        if self.wandb:
            require_wandb()
        if self.datasets and self.tables:
            raise UsageError("--dataset measures other data than the tables of the suite: leave out --tables")
        if self.resolutions and self.train:
            raise UsageError("--resolutions measures what is trained already: leave out --train")
        if self.train and not self.tables:
            raise UsageError("--train distils the students of tables; name them with --tables")
        if self.cluster == "slurm" and not self.cluster_options.keys() & {"timeout_min", "slurm_time"}:
            raise UsageError("--cluster slurm ends what takes too long: add --cluster-option timeout_min=MINUTES")
        self._check_workers()

    def _check_workers(self) -> None:
        """Raise OptionError for what needs other processes, or cannot be sent to them."""
        if self.models and self.workers != 0:
            raise OptionError(
                f"backbone '{next(iter(self.models))}' is an object, which other processes cannot have; "
                "give workers=0, or a name that builds it: path.py:factory"
            )
        if self.workers == 0 and (self.limits or self.cluster or self.processes > 1):
            raise OptionError(
                "workers=0 runs all jobs in this process: leave out time_limit, memory_limit, cluster and processes, "
                "or take workers=1"
            )

    @property
    def limits(self) -> JobLimits:
        """The time and memory that a job may take."""
        return JobLimits(self.time_limit and self.time_limit * 60, self.memory_limit and self.memory_limit * 1e9)


def named_backbones(
    backbones: Backbones, preprocess: str | Preprocess | None = None, features: FeaturesOf | None = None
) -> tuple[tuple[BackboneName, ...], Mapping[str, Backbone]]:
    """Return names of all backbones, and those that are objects by their labels.

    Objects are copied, so that the caller's own stay as they are, e.g. in training mode.
    """
    if isinstance(backbones, Mapping):
        labelled = list(backbones.items())
    elif isinstance(backbones, Iterable) and not isinstance(backbones, str) and not _is_module(backbones):
        labelled = [("", backbone) for backbone in backbones]
    else:
        labelled = [("", backbones)]
    built = [(label, _built(label, backbone, preprocess, features)) for label, backbone in labelled]
    if (preprocess is not None or features is not None) and all(
        isinstance(module_or_name, str) for _, module_or_name in built
    ):
        raise OptionError(
            "arguments 'preprocess' and 'features' are for modules; write options into a name: NAME?mean=0.5&std=0.5"
        )
    names = told_apart([_name(label, backbone) for label, backbone in built])
    pairs = zip(names, built, strict=True)
    return names, {name.label: backbone for name, (_, backbone) in pairs if not isinstance(backbone, str)}


def _is_module(backbone: Any) -> bool:
    """Return if an object is a module: some of them, as a Sequential, can be iterated over."""
    from torch import nn

    return isinstance(backbone, nn.Module)


def _built(
    label: str, backbone: OneBackbone, preprocess: str | Preprocess | None, features: FeaturesOf | None
) -> str | Backbone:
    """Return a name as text, and a module as a Backbone of its own."""
    if isinstance(backbone, str | os.PathLike):
        return os.fspath(backbone)
    from umt.backbones.adapters.module_adapter import unwrapped, wrap_module  # imports torch

    if not _is_module(backbone):
        kind = type(backbone).__name__
        raise BackboneError(f"backbone '{label or kind}' is a {kind}, and no torch.nn.Module; give a module, or a name")
    return wrap_module(copy.deepcopy(unwrapped(backbone)).eval(), preprocess, features)


def _name(label: str, backbone: str | Backbone) -> BackboneName:
    if isinstance(backbone, str):
        return BackboneName(label, backbone, trusted=True) if label else read_name(backbone, trusted=True)
    return BackboneName(label or backbone.architecture, backbone.spec)
