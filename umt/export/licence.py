"""The licence of a backbone's weights, if the library that brings them states it."""

from __future__ import annotations

import timm

from umt.backbones.spec import parse_spec

UNKNOWN = "unknown"


def stated_licence(backbone: str, weight_file: str | None = None) -> str:
    """Return timm's `license` for pretrained weights that it fetches; a file, and every other source, states none."""
    spec = parse_spec(backbone)
    if spec.options.get("pretrained") is False:
        return "none: random weights"
    if weight_file or "weights" in spec.options or spec.scheme != "timm":
        return UNKNOWN
    config = timm.get_pretrained_cfg(spec.name)
    return (config and config.license) or UNKNOWN
