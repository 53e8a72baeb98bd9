"""Reading weights from files without trusting them, and loading them without guessing."""

from __future__ import annotations

import mmap
import pickle
import re
import sys
import zipfile
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from umt.backbones.layouts import backbone_part
from umt.backbones.lean import adopt
from umt.errors import MissingFileError, WeightsError, first_line
from umt.files import open_plain
from umt.text import brief

MIN_MATCHED = 0.99  # share of the model's parameters that a file must provide
STATISTICS = ("running_mean", "running_var")  # too few numbers to matter in that share, and fatal when missing
NESTED = ("state_dict", "model", "model_state", "module", "teacher", "backbone")
PREFIXES = ("module.", "model.", "backbone.", "encoder.", "student.")
MAX_WRAPPERS = 8  # containers around a state dict, or prefixes of its names; real files have three at most
Converter = Callable[[dict[str, Tensor], nn.Module], Mapping[str, Tensor]]


@dataclass(frozen=True)
class LoadReport:
    """The effect of a weight file on a model; `share` is the part of the model's parameters that came from the file."""

    matched: list[str]
    missing: list[str]
    unexpected: list[str]
    reshaped: list[str]
    share: float

    def __str__(self) -> str:
        counts = f"{len(self.matched)} matched, {len(self.missing)} missing, {len(self.unexpected)} unexpected"
        return f"{counts}, {len(self.reshaped)} reshaped ({self.share:.1%} of the parameters)"

    @property
    def complete(self) -> bool:
        """True if file and model hold exactly the same weights."""
        return not self.missing and not self.unexpected

    @property
    def sufficient(self) -> bool:
        """True if so little is missing that the model is the one that the weights were trained for."""
        return self.share >= MIN_MATCHED and not any(name.endswith(STATISTICS) for name in self.missing)


def read_file(path: Path) -> Any:
    """Read tensors and plain values of a .safetensors or torch file; refuse code inside a pickle, never run it."""
    _refuse_special(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_zip(path)
        _refuse_bytearray(path)
        with torch.serialization.safe_globals([Namespace]):  # the arguments that training scripts save beside weights
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, because it is no plain weight file ({_refusal(error)}); "
            "save its state_dict alone with torch.save or safetensors"
        ) from error
    except Exception as error:  # each format and each kind of damage raises its own
        raise WeightsError(f"{path}: truncated or not a weight file ({first_line(error)}); copy it again") from error


def _refuse_special(path: Path) -> None:
    """Raise UMTError for a path without a plain file: a pipe would block, a device has no end."""
    try:
        open_plain(path, links=True).close()
    except FileNotFoundError as error:
        raise MissingFileError(f"{path}: no such weight file") from error
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror}; name a weight file") from error


def _check_zip(path: Path) -> None:
    """Raise ValueError for a torch file in which a bit has flipped, or that is larger in memory than on disk.

    torch stores checksums, and does not look at them; it never compresses, and reads compressed entries.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _refuse_unfolding(archive.infolist(), path.stat().st_size)
            if archive.comment:  # it could hold a second list of entries, which torch finds and zipfile does not
                raise ValueError("it ends in a comment, which torch does not write")
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of {brief(damaged)} is another")


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


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Read a backbone's state dict, without the usual containers, wrapper prefixes and companions (LAYOUTS)."""
    content = _unwrap(path, read_file(path))
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(
            f"{path}: holds no state dict, but a {type(content).__name__} without tensors; "
            "save the model's state_dict() with torch.save or safetensors"
        )
    tensors = {_text(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return backbone_part(_strip_prefixes(tensors))


def _unwrap(path: Path, content: Any) -> Any:
    """Return the state dict inside its containers; UMTError if a container holds itself, or there are too many."""
    for _ in range(MAX_WRAPPERS):
        if not isinstance(content, Mapping):
            return content
        inner = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return content
        content = inner
    raise WeightsError(
        f"{path}: its state dict is in more than {MAX_WRAPPERS} containers, or one holds itself; "
        "save the model's state_dict() with torch.save or safetensors"
    )


def load_weights(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    exact: bool = False,
    convert: Converter | None = None,
) -> LoadReport:
    """Load into `model`, through `convert` (default: timm's own for the architecture, which resamples positions).

    Raises UMTError if less than 99% of the parameters, or not all normalisation statistics, find their weights: a model
    that silently stays random is worse than none. `exact` admits nothing missing and nothing left over.
    """
    wanted = model.state_dict()
    found = _converted(model, state, source, convert)
    _refuse_other_shapes(wanted, found, source)
    usable = {name: value for name, value in found.items() if name in wanted}
    report = _report(model, state, found, usable)
    if not (report.complete if exact else report.sufficient):
        example = (report.missing or report.unexpected)[0]
        raise WeightsError(
            f"{source}: does not fit the model: {report}, e.g. {brief(example)}; check the architecture's name"
        )
    adopt(model, usable)
    return report


def _refuse_other_shapes(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor], source: str) -> None:
    for name in wanted.keys() & found.keys():
        if wanted[name].shape != found[name].shape:
            has, wants = tuple(found[name].shape), tuple(wanted[name].shape)
            raise WeightsError(
                f"{source}: '{name}' is {has}, the model's {wants}; check the architecture's name and options"
            )


def _report(
    model: nn.Module, given: Mapping[str, Tensor], found: Mapping[str, Tensor], usable: Mapping[str, Tensor]
) -> LoadReport:
    sizes = {name: value.numel() for name, value in model.named_parameters()}
    loaded = sum(size for name, size in sizes.items() if name in usable)
    return LoadReport(
        matched=sorted(usable),
        missing=sorted(model.state_dict().keys() - usable.keys()),
        unexpected=sorted(found.keys() - usable.keys()),
        reshaped=sorted(name for name in usable if name in given and given[name].shape != usable[name].shape),
        share=loaded / max(sum(sizes.values()), 1),
    )


def _converted(
    model: nn.Module, state: Mapping[str, Tensor], source: str, convert: Converter | None
) -> Mapping[str, Tensor]:
    """Convert older key names, and position embeddings to the model's grid."""
    convert = convert or getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        return convert(dict(state), model) if convert else state
    except Exception as error:  # the converters take the architecture for granted
        name = type(model).__name__
        raise WeightsError(
            f"{source}: is not for a {name} ({first_line(error)}); check the architecture's name"
        ) from error


def _strip_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Remove the prefixes that all names have."""
    for _ in range(MAX_WRAPPERS):
        prefix = next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in state)), None)
        if prefix is None:
            break
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _text(name: Any) -> str:
    """Return the name of a tensor as text; in a file it may be a number, or any other key."""
    return name if isinstance(name, str) else brief(name)


def _refusal(error: pickle.UnpicklingError) -> str:
    """Return the object that the unpickler refused, without its advice to load the file unsafely."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it calls for {named.group(1)}" if named else first_line(error)
