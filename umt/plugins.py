"""Entry points of installed packages: backbones, tasks and objectives of teachers, each in a group of its own."""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from umt.errors import DeclarationError, PackageError


def installed(group: str, built_in: tuple[str, ...] = ()) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; UMTError if two packages claim the same name, or one claims ours.

    `built_in` are our own names, and the schemes of names such as `timm:resnet50`.
    """
    points: dict[str, EntryPoint] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        if point.name.partition(":")[0] in built_in:
            raise DeclarationError(
                f"'{point.name}' is offered twice, by umt-bench itself and by {about(point)}; uninstall that package"
            )
        earlier = points.setdefault(point.name, point)
        if earlier != point:
            raise DeclarationError(
                f"'{point.name}' is offered twice, by {about(earlier)} and by {about(point)}; uninstall one"
            )
    return points


@cache
def refuse_claims(group: str, built_in: tuple[str, ...]) -> None:
    """Raise UMTError, as `installed` does, if a package claims a built-in name; cached, because it takes time."""
    installed(group, built_in)


def load(point: EntryPoint, expected: type = object) -> Any:
    """Import the object of an entry point; UMTError if it cannot be imported or is no `expected`."""
    try:
        value = point.load()
    except (ImportError, AttributeError) as error:
        raise PackageError(
            f"'{point.name}' of {about(point)} cannot be imported ({error}); install it again"
        ) from error
    if not isinstance(value, expected):
        expected_type = f"{expected.__module__}.{expected.__qualname__}"
        raise DeclarationError(
            f"'{point.name}' of {about(point)} is a {type(value).__name__}; it must be a {expected_type}"
        )
    return value


def about(point: EntryPoint) -> str:
    """Return the package of an entry point and the object that it names there."""
    return f"{point.dist.name if point.dist else 'a package'} ({point.value})"
