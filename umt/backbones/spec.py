"""The text that names a backbone: `[scheme:]name[?option=value&...][#tap]`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from umt.declarations import scalar
from umt.errors import SpecError, UMTError

WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar", ".npz", ".index.json")


@dataclass(frozen=True)
class Spec:
    """A parsed backbone name; `scheme` is empty for checkpoints and entry points."""

    text: str
    scheme: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    tap: str | None = None

    @property
    def is_file(self) -> bool:
        """True if the name is a checkpoint file or folder, not a registered name."""
        return not self.scheme and (self.name.endswith(WEIGHT_SUFFIXES) or Path(self.name).expanduser().exists())

    def with_options(self, /, **options: Any) -> Spec:
        """Return the same name with more options, which win over its own options."""
        merged = {**self.options, **options}
        body = self.text.partition("#")[0].partition("?")[0]
        query = "&".join(f"{key}={json.dumps(value, default=str)}" for key, value in merged.items())
        text = body + (f"?{query}" if query else "") + (f"#{self.tap}" if self.tap else "")
        return replace(self, text=text, options=merged)

    def renamed(self, name: str) -> Spec:
        """Return the same spec for another file."""
        body = self.text.partition("#")[0].partition("?")[0]
        scheme = f"{self.scheme}:" if self.scheme else ""
        return replace(self, text=f"{scheme}{name}{self.text.removeprefix(body)}", name=name)


def parse_spec(text: str) -> Spec:
    """Split a backbone name into its parts; option values are read as YAML scalars (numbers, true, lists)."""
    body, _, tap = text.strip().partition("#")
    body, _, query = body.partition("?")
    scheme, _, name = body.rpartition(":")
    if body.endswith(WEIGHT_SUFFIXES) and scheme != "umt":
        scheme, name = "", body
    if not name:
        raise SpecError(
            f"backbone '{text}' names nothing; write e.g. timm:resnet50, ckpt.pth or my_package.module:factory"
        )
    return Spec(text.strip(), scheme, name, _options(text, query), tap or None)


def _options(text: str, query: str) -> dict[str, Any]:
    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    if not all(key and equals for key, equals, _ in pairs):
        raise SpecError(f"backbone '{text}': options '{query}' are not key=value pairs joined by '&'")
    return {key: _value(text, value) for key, _, value in pairs}


def _value(text: str, value: str) -> Any:
    try:
        return scalar(value)
    except UMTError as error:
        raise SpecError(f"backbone '{text}': option {error}") from error


@dataclass(frozen=True)
class BackboneName:
    """The label of a row, and the name that `create_backbone` takes."""

    label: str
    spec: str
    trusted: bool = False  # true if a person typed it, so that it may run code


def read_name(text: str, *, trusted: bool = False) -> BackboneName:
    """Read `LABEL=SPEC`; without a label, shorten the spec to the part that tells models apart."""
    label, _, rest = text.partition("=")
    if rest and _is_label(label, rest) and not Path(text).is_file():
        return BackboneName(label.strip(), rest.strip(), trusted)
    spec = parse_spec(text)
    name = Path(spec.name).stem if spec.is_file else spec.name
    options = ", ".join(f"{key}={value}" for key, value in spec.options.items() if key != "weights")
    return BackboneName(
        name + (f"#{spec.tap}" if spec.tap else "") + (f" ({options})" if options else ""), text, trusted
    )


def _is_label(label: str, rest: str) -> bool:
    """Tell a label, as in `ViT-B/16=timm:...`, from `timm:...?pretrained=false` and `runs/lr=1e-4/ckpt.pth`."""
    if any(mark in label for mark in ":?#"):
        return False
    return "/" not in label or ":" in rest or Path(parse_spec(rest).name).is_file()
