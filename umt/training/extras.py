"""Options of a training beyond its recipe: saves, averages, and its distribution over processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mmengine.hooks import Hook

from umt.errors import DeclarationError, unknown_name
from umt.training.parallel import PARALLEL


@dataclass(frozen=True)
class Extras:
    """Options of `fit` that are no part of `Recipe`; only `ema`, `hooks` and `visits` can change the weights."""

    save_every: int | None = None  # optimiser steps between saves, besides those by time
    ema: float | None = None  # decay of the weights' moving average, which the model holds in the end
    parallel: str = "ddp"  # with several processes: each holds the whole model (ddp), or a shard of it (fsdp)
    hooks: tuple[Hook, ...] = ()  # hooks of the caller
    note: Callable[[], str] | None = None  # more text for the progress line
    visits: bool = False  # the data set is asked for (index, visit) instead of index

    def __post_init__(self) -> None:
        if self.save_every is not None and self.save_every < 1:
            raise DeclarationError(f"save_every {self.save_every}: take at least 1 optimiser step")
        if self.ema is not None and not 0 < self.ema < 1:
            raise DeclarationError(f"ema {self.ema}: take a decay between 0 and 1, such as 0.9998")
        if self.parallel not in PARALLEL:
            raise unknown_name("parallel", self.parallel, PARALLEL)


PLAIN = Extras()
