"""What a person calls a backbone: a label of their own, or its name in short."""

from __future__ import annotations

from pathlib import Path

from umt.backbones.spec import parse_spec


def split_label(text: str) -> tuple[str, str]:
    """`LABEL=SPEC` -> (label, spec); without a label the name itself, shortened to what tells models apart."""
    label, _, rest = text.partition("=")
    if rest and _is_label(label, rest) and not Path(text).is_file():
        return label.strip(), rest.strip()
    spec = parse_spec(text)
    name = Path(spec.name).stem if spec.is_file else spec.name
    options = ", ".join(f"{key}={value}" for key, value in spec.options.items() if key != "weights")
    return name + (f"#{spec.tap}" if spec.tap else "") + (f" ({options})" if options else ""), text


def _is_label(label: str, rest: str) -> bool:
    """`ViT-B/16=timm:...` has a label, `timm:...?pretrained=false` and `runs/lr=1e-4/ckpt.pth` have none."""
    if any(mark in label for mark in ":?#"):
        return False
    return "/" not in label or ":" in rest or Path(parse_spec(rest).name).is_file()
