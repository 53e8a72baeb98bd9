"""Reading weights from files without trusting them, and loading them without guessing."""

from __future__ import annotations

import mmap
import pickle
import re
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from umt.backbones.lean import adopt
from umt.backbones.spec import Spec
from umt.backbones.trust import runs_code
from umt.errors import MissingFileError, UMTError, WeightsError, first_line
from umt.files import open_plain, utf8_name
from umt.text import brief

INDEX = ".index.json"  # of several files
CODE = "/code/"  # in a TorchScript archive: the program, compressed, which nobody here reads


@dataclass(frozen=True)
class LoadReport:
    """The effect of a weight file on a model: names of both that have found each other, and those that have not."""

    matched: list[str]
    missing: list[str]
    unexpected: list[str]

    def __str__(self) -> str:
        return f"{len(self.matched)} matched, {len(self.missing)} missing, {len(self.unexpected)} unexpected"

    @property
    def complete(self) -> bool:
        """True if file and model hold exactly the same weights."""
        return not self.missing and not self.unexpected


Stamp = tuple[int, ...]


def stamp_of(spec: Spec) -> Stamp | None:
    """Return numbers that change with the file of a name's weights; None for a name without a single file."""
    path = spec.name if spec.is_file or spec.scheme == "umt" else spec.options.get("weights")
    return None if runs_code(spec) or not isinstance(path, str) else stamp_of_file(Path(path))


def stamp_of_file(path: Path) -> Stamp | None:
    """Return numbers that change with a file; None for a folder, and for an index of several files."""
    if path.name.endswith(INDEX) or not path.is_file():
        return None
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def read_file(path: Path) -> Any:
    """Read tensors and plain values of a .safetensors or torch file; refuse code inside a pickle, never run it."""
    read_head(path, 0)
    with reading(path):
        if path.suffix == ".safetensors":
            with utf8_name(path) as name:
                return load_file(name)
        refuse_damaged_zip(path)
        _refuse_bytearray(path)
        with torch.serialization.safe_globals([Namespace]):  # the arguments that training scripts save beside weights
            return torch.load(path, map_location="cpu", weights_only=True)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever a weight file raises when it is read into a UMTError that names it."""
    try:
        yield
    except UMTError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, because it is no plain weight file ({_refusal(error)}); "
            "save its state_dict alone with torch.save or safetensors"
        ) from error
    except Exception as error:  # each format and each kind of damage raises its own
        raise WeightsError(f"{path}: truncated or not a weight file ({first_line(error)}); copy it again") from error


def read_head(path: Path, count: int) -> bytes:
    """Read the first bytes; UMTError for a path without a plain file: a pipe would block, a device has no end."""
    try:
        with open_plain(path, links=True) as file:
            head: bytes = file.read(count)
            return head
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such weight file") from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; name a weight file") from error


def refuse_damaged_zip(path: Path) -> None:
    """Raise ValueError for a torch file in which a bit has flipped, or that is larger in memory than on disk.

    torch stores checksums, and does not look at them; it never compresses, and reads compressed entries.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if CODE not in entry.filename]
            _refuse_unfolding(entries, path.stat().st_size)
            if archive.comment:  # it could hold a second list of entries, which torch finds and zipfile does not
                raise ValueError("it ends in a comment, which torch does not write")
            for entry in entries:
                _check_sum(archive, entry)


def _check_sum(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Raise ValueError if a bit of an entry has flipped."""
    try:
        with archive.open(entry) as content:
            while content.read(1 << 20):
                pass
    except zipfile.BadZipFile as error:
        raise ValueError(f"the checksum of {brief(entry.filename)} is another") from error


def _refuse_unfolding(entries: list[zipfile.ZipInfo], size: int) -> None:
    """Raise ValueError for compressed entries, and for entries that share their bytes."""
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ValueError(f"entry {brief(entry.filename)} is compressed, which torch does not do")
    content = sum(entry.file_size for entry in entries)
    if content > size:
        raise ValueError(f"its entries have {content:,} bytes, the file {size:,}")


def _refuse_bytearray(path: Path) -> None:
    """Raise ValueError for a torch file that asks for a bytearray: of any size, in a file of a few bytes.

    It is the only sized object without content that torch makes of such a file and fills.
    """
    with open_plain(path, links=True) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(b"bytearray") >= 0:
            raise ValueError("it asks for a bytearray, which weights are not made of")


def load_weights(
    model: nn.Module, state: Mapping[str, Tensor], *, source: str, ignored: str | None = None
) -> LoadReport:
    """Load a state dict into a model, strict both ways.

    ignored: pattern of names in the file that have no place in the model. Raises UMTError with names of both sides if
    anything else is left over or missing: a model that silently stays random is worse than none.
    """
    target = model.state_dict()
    _refuse_other_shapes(target, state, source)
    report = LoadReport(
        matched=sorted(state.keys() & target.keys()),
        missing=sorted(target.keys() - state.keys()),
        unexpected=sorted(state.keys() - target.keys()),
    )
    unknown = [name for name in report.unexpected if ignored is None or not re.match(ignored, name)]
    if report.missing or unknown:
        examples = [*report.missing[:1], *unknown[:1]]
        raise WeightsError(
            f"{source}: does not fit the model: {report}, e.g. {', '.join(map(brief, examples))}; check the "
            "architecture's name"
        )
    adopt(model, {name: state[name] for name in report.matched})
    return report


def _refuse_other_shapes(target: Mapping[str, Tensor], state: Mapping[str, Tensor], source: str) -> None:
    for name in target.keys() & state.keys():
        if target[name].shape != state[name].shape:
            has, wants = tuple(state[name].shape), tuple(target[name].shape)
            raise WeightsError(
                f"{source}: '{name}' is {has}, the model's {wants}; check the architecture's name and options"
            )


def _refusal(error: pickle.UnpicklingError) -> str:
    """Return the object that the unpickler refused, without its advice to load the file unsafely."""
    global_name = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it calls for {global_name.group(1)}" if global_name else first_line(error)
