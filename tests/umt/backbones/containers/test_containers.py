"""Files and folders of weights: known by their content, read without running anything in them."""

from __future__ import annotations

import datetime
import json
import zipfile
from argparse import Namespace
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from umt.backbones.containers.folders import open_container
from umt.backbones.containers.parts import parts
from umt.backbones.containers.pickles import StandIn
from umt.errors import UMTError


class Evil:
    """Unpickled the ordinary way, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


class Shell:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("true",)


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 20), nn.BatchNorm1d(20), nn.Linear(20, 4)).eval()


def state_of(path: Path) -> dict[str, Tensor]:
    found = max(parts(open_container(path).content), key=lambda part: len(part.state))
    return dict(found.state)


def assert_model(path: Path) -> None:
    expected, found = model().state_dict(), state_of(path)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(found[name], value)


def written(path: Path, kind: str) -> Path:
    net = model()
    if kind == "torch zip":
        torch.save(net.state_dict(), path)
    elif kind == "legacy":
        torch.save({"model": net.state_dict()}, path, _use_new_zipfile_serialization=False)
    elif kind == "safetensors":
        save_file(net.state_dict(), path)
    elif kind == "module":
        torch.save(net, path)
    elif kind == "TorchScript":
        torch.jit.trace(net, torch.zeros(2, 20)).save(str(path))
    elif kind == "npz":
        np.savez(path.with_suffix(".npz"), **{name: value.numpy() for name, value in net.state_dict().items()})
        path.with_suffix(".npz").rename(path)
    return path


@pytest.mark.parametrize("kind", ["torch zip", "legacy", "safetensors", "module", "TorchScript", "npz"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".anything"])
def test_files_are_known_by_their_content(tmp_path: Path, kind: str, suffix: str) -> None:
    assert_model(written(tmp_path / f"w{suffix}", kind))


def test_harmless_objects_beside_the_weights(tmp_path: Path) -> None:
    content = {
        "state_dict": model().state_dict(), "args": Namespace(lr=1, out=Path("/x")), "best": np.float64(3),
        "curve": np.arange(3.0), "date": datetime.datetime.now(), "seen": {1, 2},
    }  # fmt: skip
    for zipped in (True, False):
        torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        assert_model(tmp_path / "w.pth")
        args = open_container(tmp_path / "w.pth").content["args"]
        assert isinstance(args, StandIn)
        assert args.attributes["lr"] == 1


@pytest.mark.parametrize("zipped", [True, False])
def test_unknown_objects_stay_inert(tmp_path: Path, zipped: bool) -> None:
    marker, path = tmp_path / "ran", tmp_path / "w.pth"
    content = {"state_dict": model().state_dict(), "x": Evil(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert_model(path)
    assert not marker.exists()
    torch.load(path, weights_only=False)
    assert marker.exists(), "the file is hostile indeed"


def test_a_call_of_the_shell_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": model().state_dict(), "x": Shell()}, tmp_path / "w.pth")
    with pytest.raises(UMTError, match=r"w\.pth: refused.*it calls for posix\.system"):
        open_container(tmp_path / "w.pth")


def with_pickle(path: Path, content: bytes) -> Path:
    """A torch file with another pickle in it."""
    torch.save(model().state_dict(), buffer := BytesIO())
    with zipfile.ZipFile(buffer) as plain, zipfile.ZipFile(path, "w") as archive:
        for name in plain.namelist():
            archive.writestr(name, content if name.endswith("data.pkl") else plain.read(name))
    return path


GLOBAL = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpu"
CODE = b"}X\x08\x00\x00\x00__code__NsN\x86b."  # {"__code__": None}, and BUILD
HOSTILE: dict[str, tuple[bytes, str]] = {
    "a memo of four thousand millions": (b"\x80\x02N" + b"r\xff\xff\xff\xff.", "numbers more objects"),
    "a changed function": (b"\x80\x02" + GLOBAL + CODE, "changes a function|attribute"),
    "extension codes": (b"\x80\x02\x82\x01.", "extension codes"),
    "a view beyond its storage": (
        b"\x80\x02" + GLOBAL + b"(" + STORAGE + b"M\x90\x01tQK\x00(J\x00\x00\x00\x7ft(K\x01t\x89NtR.",
        "beyond its storage",
    ),
    "a storage of another size": (
        b"\x80\x02" + GLOBAL + b"(" + STORAGE + b"M\x91\x01tQK\x00(K\x01t(K\x01t\x89NtR.",
        "has not the",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(tmp_path: Path, name: str) -> None:
    content, message = HOSTILE[name]
    with pytest.raises(UMTError, match=rf"w\.pth: .*({message})"):
        open_container(with_pickle(tmp_path / "w.pth", content))


def test_the_hostile_tensors_differ_from_a_sound_one_in_one_number(tmp_path: Path) -> None:
    sound = b"\x80\x02" + GLOBAL + b"(" + STORAGE + b"M\x90\x01tQK\x00(K\x01t(K\x01t\x89NtR."
    assert open_container(with_pickle(tmp_path / "w.pth", sound)).content.shape == (1,)


def test_a_reduced_object_may_not_hold_itself_for_ever(tmp_path: Path) -> None:
    content: dict[str, Any] = {"state_dict": model().state_dict()}
    content["again"] = content
    torch.save(content, tmp_path / "w.pth")
    assert_model(tmp_path / "w.pth")


OTHERS = {
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer.*git lfs pull"),
    "page": (b"<!DOCTYPE html><html></html>", "is an HTML page"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0:\x10", "is an ONNX graph"),
    "gzip": (b"\x1f\x8b\x08\x00", "is compressed by gzip"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
    "text": (b"hello world", "truncated or not a weight file"),
    "nothing": (b"", "truncated or not a weight file"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_named(tmp_path: Path, name: str) -> None:
    content, message = OTHERS[name]
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UMTError, match=rf"w\.pth: .*{message}"):
        open_container(tmp_path / "w.pth")


def test_a_real_onnx_graph_is_named(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["x2"])], "g", [value], [value])
    onnx.save(onnx.helper.make_model(graph, producer_name="pytorch"), tmp_path / "w.pt")
    with pytest.raises(UMTError, match="is an ONNX graph"):
        open_container(tmp_path / "w.pt")


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_files_with_an_index(tmp_path: Path, kind: str) -> None:
    state = model().state_dict()
    names = sorted(state)
    files = {name: f"part-{index % 2}.{kind}" for index, name in enumerate(names)}
    for file in set(files.values()):
        part = {name: state[name] for name in names if files[name] == file}
        save_file(part, tmp_path / file) if kind == "safetensors" else torch.save(part, tmp_path / file)
    base = "model.safetensors" if kind == "safetensors" else "pytorch_model.bin"
    index = tmp_path / f"{base}.index.json"
    index.write_text(json.dumps({"weight_map": files}))
    assert_model(tmp_path)
    assert_model(index)
    index.write_text(json.dumps({"weight_map": {**files, "gone": f"part-0.{kind}"}}))
    with pytest.raises(UMTError, match="tensor 'gone' is in none of its 2 files"):
        open_container(tmp_path)
    index.write_text(json.dumps({"weight_map": {"x": f"../part-0.{kind}"}}))
    with pytest.raises(UMTError, match="lies outside"):
        open_container(tmp_path)


def test_a_distributed_checkpoint(tmp_path: Path) -> None:
    from torch.distributed import checkpoint

    checkpoint.save({"model": model().state_dict(), "epoch": 3}, checkpoint_id=tmp_path / "dcp")
    found = state_of(tmp_path / "dcp")
    for name, value in model().state_dict().items():
        assert torch.equal(found[f"model.{name}"], value)


@pytest.mark.parametrize(
    ("files", "message"), [((), "holds no weight file"), (("a.pth", "b.pth"), "a.pth, b.pth; name")]
)
def test_a_folder_without_one_file_is_named(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    for name in files:
        torch.save({}, tmp_path / name)
    with pytest.raises(UMTError, match=message):
        open_container(tmp_path)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "module._orig_mod.", "_fsdp_wrapped_module."])
def test_wrappers_are_taken_off(tmp_path: Path, wrapper: str) -> None:
    state = {
        f"0.{wrapper}{name[2:]}" if name[0] == "0" else name: value for name, value in model().state_dict().items()
    }
    torch.save(state, tmp_path / "w.pth")
    assert_model(tmp_path / "w.pth")


def test_names_that_are_numbers_are_text(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(1), 10**400: torch.zeros(1)}, tmp_path / "w.pth")
    assert list(state_of(tmp_path / "w.pth")) == ["1", "an integer of 1329 bits"]


def test_what_is_no_plain_file_is_named(make_special: Callable[[Path, str], None], tmp_path: Path) -> None:
    make_special(tmp_path / "w.pth", "pipe")
    with pytest.raises(UMTError, match=r"w\.pth: is a pipe, not a plain file"):
        open_container(tmp_path / "w.pth")
