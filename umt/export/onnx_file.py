"""A backbone, or a space of a student, as an ONNX file for any batch and, if it can be exported so, any image size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from umt.backbones.contract import Backbone
from umt.errors import PackageError, UMTError
from umt.export.agreement import Agreement, Exported, Outputs, Shape, measure, named_outputs, require, shapes_of
from umt.export.attempt import attempt

FILE = "model.onnx"
TOLERANCE = 1e-4
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
MAX_ONE_FILE_BYTES = 2**31 - 2**24  # bytes: protobuf holds less than 2 GiB; weights beyond lie in a file beside


def write_onnx_file(backbone: Backbone, folder: Path) -> Exported:
    """Write model.onnx: RGB images in [0, 1] in, the outputs of `named_outputs` out; and run it in onnxruntime.

    If the architecture cannot be traced for any size, height and width are those of its preprocessing. Raises UMTError
    if it cannot be exported at all, or gives other values.
    """
    _require_packages()
    shapes, multiple = shapes_of(backbone), backbone.preprocess.size_multiple
    images, height, width = shapes[0]
    # Traced at neither the native size nor a square, so that no short cut for these becomes the rule.
    elsewhere = (images, height + multiple, width + 2 * multiple)
    try:
        return Exported(_written(backbone, folder, elsewhere, _any_size(multiple), shapes))
    except UMTError as error:
        native = [(images, height, width), (1, height, width)]
        agreements = _written(backbone, folder, native[0], {0: Dim("batch")}, native)
        return Exported(agreements, f"images of {height} x {width} only, because for any size: {error}")


class _Tuple(nn.Module):
    """A backbone that gives its outputs as a tuple, which exporters require."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(named_outputs(self.backbone(images)).values())


def _any_size(multiple: int) -> dict[int, Any]:
    return {0: Dim("batch"), 2: multiple * Dim("rows"), 3: multiple * Dim("columns")}


def _written(
    backbone: Backbone, folder: Path, traced: Shape, dynamic: dict[int, Any], shapes: Sequence[Shape]
) -> list[Agreement]:
    """Export as `traced` with images of that shape, whose `dynamic` dimensions are free; and compare at `shapes`."""
    example = torch.zeros(traced[0], 3, *traced[1:])
    with attempt(backbone.spec, "ONNX"):
        program = torch.onnx.export(
            _Tuple(backbone).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={"images": dynamic},
            input_names=["images"],
            output_names=_output_names(backbone),
            verbose=False,
        )
        assert program is not None
        program.save(folder / FILE, external_data=_bytes(backbone) > MAX_ONE_FILE_BYTES)
        agreements = measure(backbone, _session(folder / FILE), shapes)
    require(agreements, TOLERANCE, "onnxruntime")
    return agreements


def _output_names(backbone: Backbone) -> list[str]:
    return ["pooled", *(["cls"] if backbone.has_cls else []), *(f"map_{index}" for index in range(backbone.depth))]


def _session(path: Path) -> Callable[[Tensor], Outputs]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: Tensor) -> Outputs:
        values = session.run(names, {"images": images.numpy()})
        return {name: torch.from_numpy(value) for name, value in zip(names, values, strict=True)}

    return run


def _require_packages() -> None:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise PackageError(f"--to onnx needs {', '.join(missing)}; install with: pip install 'umt-bench[export]'")


def _bytes(backbone: Backbone) -> int:
    return sum(value.nbytes for value in backbone.state_dict().values())
