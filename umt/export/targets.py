"""The formats of `umt export --to`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from umt.backbones.contract import Backbone
from umt.export.agreement import Exported
from umt.export.onnx_file import write_onnx_file
from umt.export.timm_folder import write_timm_folder


@dataclass(frozen=True)
class Target:
    """A format; `write` fills a folder and measures its content. `hub`: the folder is one to upload."""

    name: str
    write: Callable[[Backbone, Path], Exported]
    hub: bool = False


TARGETS = {
    target.name: target
    for target in (
        Target("timm", write_timm_folder),
        Target("onnx", write_onnx_file),
        Target("hub", write_timm_folder, hub=True),
    )
}
