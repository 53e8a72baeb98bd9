"""onnxruntime gives what the backbone gives: for any size where the code admits it, else for its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from umt.backbones import Backbone
from umt.errors import UMTError
from umt.export.onnx_file import FILE, write_onnx_file


def session_of(folder: Path) -> Any:
    return onnxruntime.InferenceSession(folder / FILE, providers=["CPUExecutionProvider"])


def test_any_batch_and_any_size_through_named_outputs(convolutions: type[Backbone], tmp_path: Path) -> None:
    backbone = convolutions().eval()
    exported = write_onnx_file(backbone, tmp_path)
    assert exported.limit is None
    session = session_of(tmp_path)
    assert [output.name for output in session.get_outputs()] == ["pooled", "map_0", "map_1"]
    for shape in ((1, 3, 8, 8), (3, 3, 72, 40)):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(1))
        pooled, coarse = session.run(["pooled", "map_1"], {"images": images.numpy()})
        ours = backbone(images)
        np.testing.assert_allclose(pooled, ours.pooled.detach(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(coarse, ours.maps[1].detach(), rtol=1e-4, atol=1e-5)


def test_code_that_asks_for_the_size_is_exported_at_its_own(convolutions: type[Backbone], tmp_path: Path) -> None:
    backbone = convolutions(native_only=True).eval()
    exported = write_onnx_file(backbone, tmp_path)
    assert (exported.limit or "").startswith("images of 32 x 32 only, because for any size: ")
    assert "\n" not in (exported.limit or "")
    batch, _, *size = session_of(tmp_path).get_inputs()[0].shape
    assert (isinstance(batch, str), size) == (True, [32, 32])


def test_weights_beyond_one_file_lie_beside_it(
    convolutions: type[Backbone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("umt.export.onnx_file.MAX_ONE_FILE_BYTES", 0)
    (tmp_path / "made").mkdir()
    write_onnx_file(convolutions().eval(), tmp_path / "made")
    moved = (tmp_path / "made").rename(tmp_path / "moved")
    assert (moved / f"{FILE}.data").stat().st_size > 0
    assert session_of(moved).run(["pooled"], {"images": np.zeros((1, 3, 16, 16), np.float32)})[0].shape == (1, 6)


def test_what_cannot_be_exported_is_one_line(
    convolutions: type[Backbone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_shape(images: torch.Tensor, maps: object) -> None:
        raise ValueError("first line\nand pages of it" if images.sum() > 0 else "no")

    backbone = convolutions().eval()
    monkeypatch.setattr(backbone, "extract", without_shape)
    with pytest.raises(UMTError, match="Convolutions: cannot be exported to ONNX") as caught:
        write_onnx_file(backbone, tmp_path)
    assert "\n" not in str(caught.value)


def test_missing_packages_are_named_with_the_extra(
    convolutions: type[Backbone], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UMTError, match=r"--to onnx needs onnxscript; install with: pip install 'umt-bench\[export\]'"):
        write_onnx_file(convolutions(), tmp_path)
