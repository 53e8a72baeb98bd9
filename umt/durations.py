"""Durations as people write them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Return a number of seconds as 2 d 3 h, 3 h 20 min, 12 min or 40 s."""
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} {seconds % size // part:.0f} {smaller}"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:.0f} s"
