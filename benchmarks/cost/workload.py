"""The images that a job processes: counted from its protocol and the sizes of its data, nothing is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from umt.errors import OptionError
from umt.training.engine import Recipe

KINDS = ("fine-tuning", "dense", "frozen", "forward")


@dataclass(frozen=True)
class Workload:
    """Images of a job; `features` identifies features that other jobs of the same backbone need not compute again."""

    trained: int = 0  # images through forward and backward, counted each time they are shown
    tested: int = 0  # images through the protocol's test forward, all its windows and flips included
    features: tuple[Any, ...] = ()

    @property
    def images(self) -> int:
        return self.trained + self.tested


def kind_of(settings: Any) -> str:
    """Return the kind of a task's settings, one of KINDS; UMTError for settings of a task from outside."""
    if isinstance(settings, Recipe):
        return "fine-tuning"
    for kind, field in (("dense", "iterations"), ("frozen", "crop_pct"), ("forward", "forwards")):
        if hasattr(settings, field):
            return kind
    raise OptionError(
        f"{type(settings).__name__}: the cost of tasks from outside is not known; leave it out with --tasks"
    )


def workload(dataset: str, settings: Any, sizes: Mapping[str, int]) -> Workload:
    """Count the images of a job; `sizes` are those of the official splits, of which the last is the reported one."""
    *training, reported = sizes.values()
    kind = kind_of(settings)
    if kind == "fine-tuning":
        return Workload(trained=settings.steps(sum(training)) * settings.batch, tested=reported)
    if kind == "dense":
        tests = settings.iterations // settings.best_on_test if settings.best_on_test else 1
        return Workload(trained=settings.iterations * settings.batch, tested=tests * reported)
    if kind == "frozen":
        view = (dataset, settings.resolution, settings.crop_pct, getattr(settings, "precision", "fp32"))
        return Workload(tested=sum(training) + reported, features=view)
    return Workload(tested=settings.batch * (settings.warmup + settings.forwards))
