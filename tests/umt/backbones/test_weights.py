"""Weight files: what may be read, what may be loaded, and what is said when it may not."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from umt.backbones.weights import load_weights, read_file, read_state_dict
from umt.errors import UMTError


class Hostile:
    """Runs a command when it is unpickled the ordinary way."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.marker}",)


def model() -> nn.Module:
    return nn.Sequential(nn.Linear(20, 20), nn.BatchNorm1d(20), nn.Linear(20, 4))


def test_a_hostile_pickle_is_refused_and_does_not_run(tmp_path: Path) -> None:
    marker, file = tmp_path / "ran", tmp_path / "hostile.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}, "args": Hostile(marker)}, file)
    with pytest.raises(UMTError, match=r"hostile\.pth: refused.*system") as caught:
        read_file(file)
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    torch.load(file, weights_only=False)
    assert marker.exists(), "the file is hostile indeed"


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_truncated_file_is_named(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    weights = {"a": torch.rand(1000)}
    save_file(weights, file) if file.suffix == ".safetensors" else torch.save(weights, file)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(UMTError, match=f"{name}: truncated or not a weight file"):
        read_file(file)


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x89PNG\r\n"])
def test_another_format_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UMTError, match=r"w\.pth: "):
        read_file(tmp_path / "w.pth")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="no such weight file"):
        read_file(tmp_path / "w.pth")


@pytest.mark.parametrize("wrap", [None, "state_dict", "model", "teacher"])
@pytest.mark.parametrize("prefix", ["", "module.", "module.backbone."])
def test_containers_and_prefixes_are_taken_off(tmp_path: Path, wrap: str | None, prefix: str) -> None:
    state = model().state_dict()
    wrapped = {prefix + name: value for name, value in state.items()}
    torch.save({wrap: wrapped, "epoch": 3, "args": Namespace(lr=1)} if wrap else wrapped, tmp_path / "w.pth")
    assert read_state_dict(tmp_path / "w.pth").keys() == state.keys()


def test_a_file_without_tensors_is_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "w.pth")
    with pytest.raises(UMTError, match="holds no state dict"):
        read_state_dict(tmp_path / "w.pth")


def test_the_report_says_what_happened() -> None:
    state = model().state_dict()
    state["head.weight"] = torch.zeros(3)
    target = model()
    report = load_weights(target, state, source="f")
    assert report.unexpected == ["head.weight"]
    assert (report.missing, report.reshaped, report.share) == ([], [], 1.0)
    assert len(report.matched) == len(target.state_dict())
    assert str(report) == "9 matched, 0 missing, 1 unexpected, 0 reshaped (100.0% of the parameters)"
    torch.testing.assert_close(target[0].weight, state["0.weight"])


def test_another_architecture_is_refused() -> None:
    state = timm.create_model("test_resnet").state_dict()
    with pytest.raises(UMTError, match=r"f: does not fit the model: 0 matched.*check the architecture"):
        load_weights(model(), state, source="f")


def test_another_width_is_refused() -> None:
    state = {**model().state_dict(), "2.weight": torch.zeros(4, 21)}
    with pytest.raises(UMTError, match=r"'2\.weight' is \(4, 21\), the model's \(4, 20\)"):
        load_weights(model(), state, source="f")


def test_missing_statistics_are_refused_though_they_are_few() -> None:
    state = model().state_dict()
    del state["1.running_mean"]
    with pytest.raises(UMTError, match=r"1 missing.*'1\.running_mean'"):
        load_weights(model(), state, source="f")


def test_exact_admits_nothing_left_over() -> None:
    state = {**model().state_dict(), "head.weight": torch.zeros(3)}
    with pytest.raises(UMTError, match=r"head\.weight"):
        load_weights(model(), state, source="f", exact=True)


def test_a_converter_that_fails_is_one_line() -> None:
    def convert(state: dict, module: nn.Module) -> dict:
        raise KeyError("pos_embed")

    with pytest.raises(UMTError, match="f: is not for a Sequential"):
        load_weights(model(), {}, source="f", convert=convert)


def test_position_embeddings_are_resampled_and_reported() -> None:
    large = timm.create_model("test_vit", num_classes=0, img_size=160)
    small = timm.create_model("test_vit", num_classes=0, img_size=96)
    report = load_weights(small, large.state_dict(), source="f")
    assert report.reshaped == ["pos_embed"]
    grid = large.pos_embed[:, 1:].reshape(1, 10, 10, 64).permute(0, 3, 1, 2)
    expected = nn.functional.interpolate(grid, size=(6, 6), mode="bicubic", antialias=True)
    torch.testing.assert_close(small.pos_embed[:, 1:], expected.flatten(2).transpose(1, 2))


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    """torch.load reads such a file without a word."""
    path, values = tmp_path / "weights.pth", torch.arange(1000.0)
    torch.save({"weight": values}, path)
    content = bytearray(path.read_bytes())
    content[content.index(values.numpy().tobytes()) + 403] ^= 1
    path.write_bytes(content)
    assert not torch.equal(torch.load(path)["weight"], values)
    with pytest.raises(
        UMTError, match=r"weights.pth: truncated or not .* \(the checksum of 'weights/data/0' is another"
    ):
        read_file(path)
