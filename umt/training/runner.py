"""mmengine's Runner as this project uses it: on the given device, quiet, and wary of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from torch import nn
from torch.distributed.tensor import DTensor

from umt.backbones.weights import read_file
from umt.errors import UMTError, WeightsError
from umt.files import atomic_file
from umt.training.parallel import gather, shard_like, shard_optimiser_like, unwrap

SAVED_FIELDS = {"meta", "state_dict", "optimizer", "param_schedulers", "message_hub"}  # fields of a saved run


class DeviceRunner(Runner):
    """A Runner for a model that is already on its device, and parallelized over processes if there are several.

    mmengine moves every model to the first GPU, also when the user asked for the CPU.
    """

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        return model

    def save_run(self, path: Path) -> None:
        """Write all that a run needs to go on, whole or not at all; every process must call it.

        Raises UMTError if the disk is full: the file that was there before stays.
        """
        checkpoint = {
            "meta": {"epoch": self.epoch, "iter": self.iter + 1, "seed": self.seed},
            "state_dict": gather(unwrap(self.model).state_dict()),
            "optimizer": gather(self.optim_wrapper.state_dict()),
            "param_schedulers": [scheduler.state_dict() for scheduler in self.param_schedulers],
            "message_hub": {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}},
        }
        self.call_hook("before_save_checkpoint", checkpoint=checkpoint)
        if is_main_process():
            with atomic_file(path) as handle:
                torch.save(checkpoint, handle)

    def load_checkpoint(self, filename: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint of this run; mmengine's loader falls back to unpickling arbitrary code."""
        checkpoint = _saved_run(Path(filename))
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        model = unwrap(self.model)
        live = model.state_dict()
        model.load_state_dict({name: shard_like(value, live[name]) for name, value in checkpoint["state_dict"].items()})
        checkpoint["optimizer"] = shard_optimiser_like(checkpoint["optimizer"], self.optim_wrapper.optimizer)
        return checkpoint

    def _init_model_weights(self) -> None:
        """Skip this for a sharded model: `parallelize` gave it equal weights, and mmengine cannot send shards."""
        if not any(isinstance(value, DTensor) for value in self.model.parameters()):
            super()._init_model_weights()

    def dump_config(self) -> None:
        """Skip the config file: nothing here has an mmengine config, and it would be empty."""

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        """Skip the environment's log: it takes two seconds, and every result records its environment."""


def _saved_run(path: Path) -> dict[str, Any]:
    """Return the content that `save_run` wrote; UMTError if the file holds anything else."""
    try:
        content = read_file(path)
    except UMTError as error:
        raise WeightsError(f"{error}; or remove it to start the run anew") from error
    if not isinstance(content, dict) or not content.keys() >= SAVED_FIELDS:
        raise WeightsError(f"{path}: is no saved run; remove it to start the run anew")
    return content
