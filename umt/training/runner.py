"""mmengine's Runner as this project uses it: on the device it is told, quiet, and wary of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.runner import Runner
from torch import nn

from umt.backbones.weights import read_file


class DeviceRunner(Runner):
    """A Runner for a model that is already on its device.

    mmengine moves every model to the first GPU, also when the user asked for the CPU.
    """

    def wrap_model(self, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        return model

    def load_checkpoint(self, filename: str, *_: Any, **__: Any) -> dict[str, Any]:
        """Read a checkpoint of this run; mmengine's loader falls back to unpickling arbitrary code."""
        checkpoint: dict[str, Any] = read_file(Path(filename))
        self.call_hook("after_load_checkpoint", checkpoint=checkpoint)
        self.model.load_state_dict(checkpoint["state_dict"])
        return checkpoint

    def _log_env(self, env_cfg: dict[str, Any]) -> None:
        """Left out: it takes two seconds, and every result records its environment."""
