"""A backbone in a command or a file: its label, or a short form of its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from umt.backbones.spec import parse_spec


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
