"""A backbone, or a space of a student, as an ONNX file for any batch and, where it exports, any image size."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from umt.backbones.contract import Backbone
from umt.backbones.weights import first_line
from umt.errors import UMTError
from umt.export.agreement import Agreement, Exported, Outputs, Shape, measure, named_outputs, require, shapes_of

FILE = "model.onnx"
TOLERANCE = 1e-4
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
ONE_FILE = 2**31 - 2**24  # bytes: protobuf holds less than 2 GiB; weights beyond lie in a file beside


def write_onnx_file(backbone: Backbone, folder: Path) -> Exported:
    """Write model.onnx: RGB images in [0, 1] in, the outputs of `named_outputs` out; and run it in onnxruntime.

    Where the architecture cannot be traced for any size, height and width are those of its preprocessing. UMTError
    where it cannot be exported at all, or gives something else.
    """
    _require_packages()
    shapes = shapes_of(backbone)
    try:
        return Exported(_written(backbone, folder, shapes, _any_size(backbone)))
    except UMTError as error:
        images, height, width = shapes[0]
        agreements = _written(backbone, folder, [(images, height, width), (1, height, width)], {0: Dim("batch")})
        return Exported(agreements, f"images of {height} x {width} only, because for any size: {error}")


class _Tuple(nn.Module):
    """A backbone that gives its outputs as a tuple, which is what an exporter takes."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return tuple(named_outputs(self.backbone(images)).values())


def _any_size(backbone: Backbone) -> dict[int, Any]:
    multiple = backbone.preprocess.size_multiple
    return {0: Dim("batch"), 2: multiple * Dim("rows"), 3: multiple * Dim("columns")}


def _written(backbone: Backbone, folder: Path, shapes: Sequence[Shape], dynamic: dict[int, Any]) -> list[Agreement]:
    """Export for images whose `dynamic` dimensions are free, and compare."""
    example = torch.zeros(shapes[0][0], 3, *shapes[0][1:])
    with _exporting(backbone.spec):
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
        program.save(folder / FILE, external_data=_bytes(backbone) > ONE_FILE)
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


@contextmanager
def _exporting(spec: str) -> Iterator[None]:
    """No warnings of the exporter, whose result is measured; what it raises over pages is one line."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            yield
    except OSError:
        raise
    except Exception as error:  # exporter and runtime have many kinds of their own
        cause = error.__cause__ or error
        raise UMTError(f"{spec}: cannot be exported to ONNX ({first_line(cause)})") from error
    finally:
        logging.disable(disabled)


def _require_packages() -> None:
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise UMTError(f"--to onnx needs {', '.join(missing)}; install with: pip install 'umt-bench[export]'")


def _bytes(backbone: Backbone) -> int:
    return sum(value.nbytes for value in backbone.state_dict().values())
