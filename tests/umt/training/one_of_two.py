"""A process of a training by two: started by test_parallel.py with torchrun's variables in its environment."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import torch
from conftest import RECIPE, picture_set, tiny_classifier
from mmengine.hooks import Hook

from umt.errors import UMTError
from umt.training.batches import SeededViews
from umt.training.distributed import init_distributed
from umt.training.engine import Extras, RunContext, fit
from umt.training.param_groups import layer_decay_groups

RECIPE_OF_TWENTY = replace(RECIPE, epochs=20 * 8 / 24, device_batch=2)


class StopHook(Hook):
    """Ends a run as an interruption would."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:  # type: ignore[no-untyped-def]
        if runner.iter == 25:
            raise KeyboardInterrupt


class PoisonHook(Hook):
    """Makes a weight of this process nan."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:  # type: ignore[no-untyped-def]
        if runner.iter == 6:
            runner.optim_wrapper.optimizer.param_groups[-1]["params"][0].data.fill_(float("nan"))


class DieHook(Hook):
    """The end of this process without a word."""

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:  # type: ignore[no-untyped-def]
        if runner.iter == 6:
            os.kill(os.getpid(), signal.SIGKILL)


def train(name: str, folder: Path, extras: Extras, rank: int) -> None:
    model = tiny_classifier()
    groups = layer_decay_groups(model.backbone, model.head, lr=RECIPE.lr, weight_decay=0.05, layer_decay=0.8)
    texts: list[str] = []
    context = RunContext(torch.device("cpu"), folder / name, 0, lambda *report: texts.append(str(report)))
    fit(model, groups, SeededViews(picture_set(), 0), RECIPE_OF_TWENTY, context, extras=extras)
    torch.save(model.state_dict(), folder / f"{name}-{rank}.pth")
    assert bool(texts) == (rank == 0)


def main(folder: Path) -> None:
    processes = init_distributed()
    train("ddp", folder, Extras(ema=0.5), processes.rank)
    train("fsdp", folder, Extras(ema=0.5, parallel="fsdp"), processes.rank)
    for parallel in ("ddp", "fsdp"):
        name = f"{parallel}-resumed"
        try:
            train(name, folder, Extras(ema=0.5, parallel=parallel, save_every=5, hooks=(StopHook(),)), processes.rank)
        except KeyboardInterrupt:
            if processes.rank == 0:
                copytree(folder / name, folder / f"{parallel}-interrupted")
            train(name, folder, Extras(ema=0.5, parallel=parallel), processes.rank)
    try:
        hooks = (PoisonHook(),) if processes.rank == 1 else ()
        train("poisoned", folder, Extras(save_every=1, hooks=hooks), processes.rank)
    except UMTError as error:
        (folder / f"poisoned-{processes.rank}.txt").write_text(str(error))
    try:  # the last thing that these two do together
        hooks = (DieHook(),) if processes.rank == 1 else ()
        train("lost", folder, Extras(ema=0.5, save_every=1, hooks=hooks), processes.rank)
    except UMTError as error:
        (folder / f"lost-{processes.rank}.txt").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
