"""Weight files: what may be read, what may be loaded, and what is said when it may not."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from umt.backbones.weights import load_weights, read_file
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


def test_the_report_says_what_happened() -> None:
    state = model().state_dict()
    state["head.weight"] = torch.zeros(3)
    target = model()
    report = load_weights(target, state, source="f", ignored=r"head\.")
    assert (report.missing, report.unexpected) == ([], ["head.weight"])
    assert len(report.matched) == len(target.state_dict())
    assert str(report) == "9 matched, 0 missing, 1 unexpected"
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


def test_nothing_is_left_over_without_a_reason() -> None:
    state = {**model().state_dict(), "head.weight": torch.zeros(3)}
    with pytest.raises(UMTError, match=r"head\.weight"):
        load_weights(model(), state, source="f")


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


def test_a_compressed_file_is_refused(tmp_path: Path) -> None:
    """torch unfolds a thousandfold what it never writes."""
    torch.save({"weight": torch.zeros(1 << 20)}, tmp_path / "plain.pth")
    with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "bomb.pth", "w") as bomb:
        for entry in plain.infolist():
            bomb.writestr(entry.filename, plain.read(entry), zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pth").stat().st_size < 10_000
    assert torch.load(tmp_path / "bomb.pth")["weight"].numel() == 1 << 20
    with pytest.raises(UMTError, match=r"bomb\.pth: truncated or not .* \(entry 'plain/.*' is compressed, which torch"):
        read_file(tmp_path / "bomb.pth")
    assert read_file(tmp_path / "plain.pth")["weight"].numel() == 1 << 20


def repeated(path: Path, copies: int) -> None:
    """Write a file whose list names the bytes of one tensor many times over."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"")
        archive.writestr("x/data/0", bytes(1 << 16))
        entry = archive.infolist()[1]
        for index in range(1, copies):
            again = zipfile.ZipInfo(f"x/data/{index}")
            again.header_offset, again.CRC = entry.header_offset, zlib.crc32(bytes(1 << 16))
            again.file_size = again.compress_size = entry.file_size
            archive.filelist.append(again)


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    repeated(tmp_path / "w.pth", 1000)
    size = (tmp_path / "w.pth").stat().st_size
    with pytest.raises(UMTError, match=rf"its entries have 65,536,000 bytes, the file {size:,}\)"):
        read_file(tmp_path / "w.pth")


def test_a_file_with_a_comment_is_refused(tmp_path: Path) -> None:
    torch.save(model().state_dict(), tmp_path / "w.pth")
    with zipfile.ZipFile(tmp_path / "w.pth", "a") as archive:
        archive.comment = b"another list"
    with pytest.raises(UMTError, match="it ends in a comment, which torch does not write"):
        read_file(tmp_path / "w.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_plain_file_is_named(
    make_special: Callable[[Path, str], None], tmp_path: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / f"w.{suffix}"
    make_special(path, kind)
    with pytest.raises(UMTError, match=rf"w\.{suffix}: is a {kind}, not a plain file; name a weight file"):
        read_file(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_bytearray_of_any_size_is_refused(tmp_path: Path, zipped: bool) -> None:
    """Three gigabytes asked for in a file of some hundred bytes: torch would make and fill them."""
    large = b"\x80\x02cbuiltins\nbytearray\n\x8a\x05" + (3 << 30).to_bytes(5, "little") + b"\x85R."
    torch.save({"x": bytearray(b"x")}, tmp_path / "plain.pth")
    if zipped:
        with zipfile.ZipFile(tmp_path / "plain.pth") as plain, zipfile.ZipFile(tmp_path / "w.pth", "w") as bomb:
            for name in plain.namelist():
                bomb.writestr(name, large if name.endswith("data.pkl") else plain.read(name))
    else:
        torch.save({}, tmp_path / "w.pth", _use_new_zipfile_serialization=False)
        (tmp_path / "w.pth").write_bytes((tmp_path / "w.pth").read_bytes() + large)
    with pytest.raises(UMTError, match="it asks for a bytearray, which weights are not made of"):
        read_file(tmp_path / "w.pth")
