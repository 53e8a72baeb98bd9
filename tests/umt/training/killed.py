"""A training that kills itself without warning: started by test_resume.py."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from conftest import RECIPE, picture_set, tiny_classifier
from mmengine.hooks import Hook
from torch import Tensor
from torch.utils.data import Dataset

from umt.training import batches
from umt.training.engine import Extras, RunContext, fit
from umt.training.param_groups import layer_decay_groups

batches.worker_count = lambda draws: 2  # also for the few images of a test


class Views(Dataset[tuple[Tensor, Tensor]]):
    """Pictures whose noise is a function of (index, visit)."""

    pictures = picture_set()

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        pixels, label = self.pictures[key[0]]
        return pixels + 0.1 * torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(hash(key))), label


class KillHook(Hook):
    """The end of the process after an iteration, as kill -9 or a power cut makes it."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner, *_: object, **__: object) -> None:  # type: ignore[no-untyped-def]
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, iteration: int) -> None:
    recipe = replace(RECIPE, epochs=4, device_batch=4)
    model = tiny_classifier(noisy=True)
    groups = layer_decay_groups(model.backbone, model.head, lr=recipe.lr, weight_decay=0.05, layer_decay=0.8)
    context = RunContext(torch.device("cpu"), folder, 0, lambda *_: None)
    extras = Extras(save_every=3, ema=0.9, hooks=(KillHook(iteration),))
    fit(model, groups, Views(), recipe, context, extras=extras)
    torch.save(model.state_dict(), folder / "end.pth")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
