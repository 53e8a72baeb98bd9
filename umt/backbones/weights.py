"""Reading weights from files without trusting them, and loading them without guessing."""

from __future__ import annotations

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
from umt.errors import MissingFileError, WeightsError, first_line

MIN_MATCHED = 0.99  # share of the model's parameters that a file must provide
STATISTICS = ("running_mean", "running_var")  # too few numbers to matter in that share, and fatal when missing
NESTED = ("state_dict", "model", "model_state", "module", "teacher", "backbone")
PREFIXES = ("module.", "model.", "backbone.", "encoder.", "student.")
Converter = Callable[[dict[str, Tensor], nn.Module], Mapping[str, Tensor]]


@dataclass(frozen=True)
class LoadReport:
    """What a weight file did to a model; `share` is the part of the model's parameters that came from the file."""

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
        """Whether file and model hold exactly the same weights."""
        return not self.missing and not self.unexpected

    @property
    def sufficient(self) -> bool:
        """Whether so little is missing that the model is the one the weights were trained for."""
        return self.share >= MIN_MATCHED and not any(name.endswith(STATISTICS) for name in self.missing)


def read_file(path: Path) -> Any:
    """Tensors and plain values of a .safetensors or torch file; code inside a pickle is refused, not run."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such weight file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        _check_sums(path)
        with torch.serialization.safe_globals([Namespace]):  # the arguments that training scripts save beside weights
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: refused, because it is no plain weight file ({_refusal(error)}); "
            "save its state_dict alone with torch.save or safetensors"
        ) from error
    except Exception as error:  # each format and each kind of damage raises its own
        raise WeightsError(f"{path}: truncated or not a weight file ({first_line(error)}); copy it again") from error


def _check_sums(path: Path) -> None:
    """ValueError for a torch file in which a bit has flipped: torch stores checksums, and does not look at them."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():
                raise ValueError(f"the checksum of '{damaged}' is another")


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """A backbone's state dict in a file, without the usual containers, wrapper prefixes and companions (LAYOUTS)."""
    content = read_file(path)
    while isinstance(content, Mapping):
        inner = next((content[key] for key in NESTED if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    if not isinstance(content, Mapping) or not any(isinstance(value, Tensor) for value in content.values()):
        raise WeightsError(
            f"{path}: holds no state dict, but a {type(content).__name__} without tensors; "
            "save the model's state_dict() with torch.save or safetensors"
        )
    tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return backbone_part(_strip_prefix(tensors))


def load_weights(
    model: nn.Module,
    state: Mapping[str, Tensor],
    *,
    source: str,
    exact: bool = False,
    convert: Converter | None = None,
) -> LoadReport:
    """Load into `model`, through `convert` (default: timm's own for the architecture, which resamples positions).

    UMTError when less than 99% of the parameters, or not all normalisation statistics, find their weights: a model
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
            f"{source}: does not fit the model: {report}, e.g. '{example}'; check the architecture's name"
        )
    model.load_state_dict(usable, strict=False)
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
    """Without older key names, and with position embeddings for the model's grid."""
    convert = convert or getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    try:
        return convert(dict(state), model) if convert else state
    except Exception as error:  # the converters take the architecture for granted
        name = type(model).__name__
        raise WeightsError(
            f"{source}: is not for a {name} ({first_line(error)}); check the architecture's name"
        ) from error


def _strip_prefix(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _strip_prefix({name.removeprefix(prefix): value for name, value in state.items()})
    return state


def _refusal(error: pickle.UnpicklingError) -> str:
    """What the unpickler stumbled over, without the advice to load the file unsafely."""
    named = re.search(r"GLOBAL ([\w.]+)", str(error))
    return f"it calls for {named.group(1)}" if named else first_line(error)
