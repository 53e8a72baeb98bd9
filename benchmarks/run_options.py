"""The options of a run, as the command line and Python give them, and the backbones among them."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from benchmarks.jobs.limits import Limits
from umt.backbones.spec import BackboneName, read_name
from umt.errors import BackboneError, OptionError
from umt.training.curves import require_wandb

if TYPE_CHECKING:
    from umt.backbones import Backbone

Place: TypeAlias = "str | os.PathLike[str]"
OneBackbone: TypeAlias = "Place | Backbone"
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
        if self.wandb:
            require_wandb()
        if self.datasets and self.tables:
            raise UsageError("--dataset measures other data than the tables of the suite: leave out --tables")
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
    def limits(self) -> Limits:
        """The time and memory that a job may take."""
        return Limits(self.time_limit and self.time_limit * 60, self.memory_limit and self.memory_limit * 1e9)


def named_backbones(backbones: Backbones) -> tuple[tuple[BackboneName, ...], Mapping[str, Backbone]]:
    """Return names of all backbones, and those that are objects by their labels.

    Objects are copied, so that the caller's own stay as they are, e.g. in training mode.
    """
    if isinstance(backbones, Mapping):
        labelled = list(backbones.items())
    elif isinstance(backbones, Iterable) and not isinstance(backbones, str):
        labelled = [("", backbone) for backbone in backbones]
    else:
        labelled = [("", backbones)]
    names = tuple(_name(label, backbone) for label, backbone in labelled)
    pairs = zip(names, labelled, strict=True)
    objects = {name.label: backbone for name, (_, backbone) in pairs if not isinstance(backbone, str | os.PathLike)}
    return names, {label: copy.deepcopy(backbone).eval() for label, backbone in objects.items()}


def _name(label: str, backbone: OneBackbone) -> BackboneName:
    if isinstance(backbone, str | os.PathLike):
        text = os.fspath(backbone)
        return BackboneName(label, text, trusted=True) if label else read_name(text, trusted=True)
    from umt.backbones import Backbone  # imports torch

    if not isinstance(backbone, Backbone):
        raise BackboneError(
            f"backbone '{label or type(backbone).__name__}' is a {type(backbone).__name__}, and no "
            "umt.backbones.Backbone; make it one (docs/backbones.md), or give a name"
        )
    return BackboneName(label or backbone.architecture, backbone.spec)
