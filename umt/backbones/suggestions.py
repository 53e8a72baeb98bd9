"""Names that were written for another library, and the name here that gives the same weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from umt.declarations import read_json
from umt.errors import UMTError, UnknownNameError, unknown_name

SIZES = {
    "s": "small", "splus": "small_plus", "b": "base", "l": "large", "g": "giant", "hplus": "huge_plus", "7b": "7b",
}  # fmt: skip
REGISTERS = {"_reg": "reg4_", None: ""}
# Names of the hubs of DINO, DINOv2, DINOv3 and MAE, and timm's name for the same weights.
HUBS: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (
        r"dinov2_vit([sblg])14(_reg)?(?:_lc)?",
        lambda m: f"vit_{SIZES[m[1]]}_patch14_{REGISTERS[m[2]]}dinov2.lvd142m",
    ),
    (r"dinov3_vit(s|splus|b|l|hplus|7b)16", lambda m: f"vit_{SIZES[m[1]]}_patch16_dinov3.lvd1689m"),
    (r"dinov3_convnext_(tiny|small|base|large)", lambda m: f"convnext_{m[1]}.dinov3_lvd1689m"),
    (r"dino_vit([sb])(8|16)", lambda m: f"vit_{SIZES[m[1]]}_patch{m[2]}_224.dino"),
    (r"mae_vit_(base|large|huge)_patch(14|16).*", lambda m: f"vit_{m[1]}_patch{m[2]}_224.mae"),
)
MAX_CONFIG_BYTES = 1 << 20  # bytes of a config.json


def unknown_backbone(kind: str, name: str, known: Iterable[str], *, listing: str) -> UnknownNameError:
    """Return the error for a name that is not known, with the name that was probably meant."""
    suggestion = elsewhere(name)
    if suggestion is None:
        return unknown_name(kind, name, known, listing=listing)
    return UnknownNameError(f"unknown {kind} '{name}'. Did you mean {suggestion}?")


def elsewhere(name: str) -> str | None:
    """Return the name here for a folder, or for a name of another library; None if it is neither."""
    if Path(name).expanduser().is_dir():
        return _folder(Path(name).expanduser())
    for pattern, rewrite in HUBS:
        if match := re.fullmatch(pattern, name):
            return f"timm:{rewrite(match)}"
    if ("-" in name and name != name.lower()) or name.startswith("RN"):
        return _open_clip(name) or _hugging_face(name)
    return _hugging_face(name) or _torchvision(name)


def _folder(folder: Path) -> str | None:
    try:
        config = read_json(folder / "config.json", "a configuration", "name another folder", max_bytes=MAX_CONFIG_BYTES)
    except (OSError, UMTError):
        return None
    return f"timm:local-dir:{folder}" if "architecture" in config else f"hf:{folder}"


def _hugging_face(name: str) -> str | None:
    owner, slash, model = name.partition("/")
    if not slash or "/" in model or not re.fullmatch(r"[\w.-]+/[\w.@-]+", name) or name.startswith("."):
        return None
    return f"timm:{model}" if owner == "timm" else f"hf:{name}"


def _open_clip(name: str) -> str | None:
    import open_clip

    model_name = name.replace("/", "-").replace("@", "-")
    return next(
        (f"open_clip:{known}/TAG" for known in open_clip.list_models() if known.lower() == model_name.lower()), None
    )


def _torchvision(name: str) -> str | None:
    from torchvision import models

    return f"torchvision:{name}" if name in models.list_models(module=models) else None
