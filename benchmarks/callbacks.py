"""Evaluation while a model trains: a callback of Lightning, and a hook of mmengine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from benchmarks.api import evaluate
from umt.errors import OptionError, PackageError

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

# The module to evaluate, out of the one that trains: by the names of attributes, as "backbone", or by a function.
Part: TypeAlias = "str | Callable[[nn.Module], nn.Module]"
LIGHTNING = ("lightning.pytorch", "pytorch_lightning")  # the library has two names


def scalars(results: pd.DataFrame) -> dict[str, float]:
    """Return results of one backbone as numbers to log: `umt/knn/imagenet/paper/top1`, the mean over seeds."""
    means = results.groupby(["task", "dataset", "protocol", "metric"])["value"].mean()
    rows: Any = means.reset_index().itertuples()
    return {f"umt/{row.task}/{row.dataset}/{row.protocol}/{row.metric}": float(row.value) for row in rows}


def evaluated(module: nn.Module, part: Part, options: dict[str, Any]) -> dict[str, float]:
    """Evaluate a part of a module; return numbers to log, none in processes that do not evaluate."""
    pick = part if callable(part) else attrgetter(part) if part else _itself
    return scalars(evaluate({"module": pick(module)}, **{"quiet": True, **options}))


def lightning_callback(part: Part = "", *, every: int = 1, **options: Any) -> Any:
    """Return a callback for Lightning's Trainer that evaluates every so many epochs, and logs what it finds.

    part: the module to evaluate out of the LightningModule. options: arguments of `umt.evaluate`.
    Raises PackageError if Lightning is not installed.
    """
    _refuse_odd(every)

    class Evaluation(_lightning().Callback):  # type: ignore[misc]
        """Evaluate at the end of training epochs."""

        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if (trainer.current_epoch + 1) % every == 0:
                values = evaluated(pl_module, part, options)
                pl_module.log_dict(values, rank_zero_only=True)

    return Evaluation()


@HOOKS.register_module("UMTEvaluation")
class EvaluationHook(Hook):
    """A hook of mmengine's Runner that evaluates every so many epochs or iterations, and logs what it finds.

    part: the module to evaluate out of the Runner's model. by_epoch: false to count iterations. options: arguments of
    `umt.evaluate`.
    """

    def __init__(self, part: Part = "", *, every: int = 1, by_epoch: bool = True, **options: Any) -> None:
        _refuse_odd(every)
        self.part = part
        self.every = every
        self.by_epoch = by_epoch
        self.options = options

    def after_train_epoch(self, runner: Any) -> None:
        if self.by_epoch and self.every_n_epochs(runner, self.every):
            self._evaluate(runner, runner.iter)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        if not self.by_epoch and self.every_n_train_iters(runner, self.every):
            self._evaluate(runner, runner.iter + 1)

    def _evaluate(self, runner: Any, step: int) -> None:
        model = runner.model.module if hasattr(runner.model, "module") else runner.model
        values = evaluated(model, self.part, self.options)
        if values:
            runner.visualizer.add_scalars(values, step=step)
            runner.logger.info(", ".join(f"{name}: {value:.4g}" for name, value in values.items()))


def _itself(module: nn.Module) -> nn.Module:
    return module


def _refuse_odd(every: int) -> None:
    if every < 1:
        raise OptionError(f"every is {every}; take 1 or more")


def _lightning() -> Any:
    for name in LIGHTNING:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise PackageError("the callback needs Lightning; install it with: pip install lightning")
