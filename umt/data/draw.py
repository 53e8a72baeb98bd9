"""Which images of each class are trained on, where a data set has no official split: a seeded draw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umt.errors import DeclarationError, unknown_name

BACKGROUND = ("out", "in")


@dataclass(frozen=True)
class Draw:
    """How Caltech-101 is split; all images that are not drawn are for testing."""

    per_class: int = 30
    seed: int = 0
    replacement: bool = False  # whether an image can be drawn, and trained on, more than once
    background: str = "out"  # whether BACKGROUND_Google, images of nothing in particular, is a class: "in" or "out"

    def __post_init__(self) -> None:
        if self.per_class < 1 or self.seed < 0:
            raise DeclarationError(
                f"draw: per_class {self.per_class} and seed {self.seed}; give at least 1, and 0 or more"
            )
        if self.background not in BACKGROUND:
            raise unknown_name("background", self.background, BACKGROUND)

    @property
    def footnote(self) -> str | None:
        """What a table must say of it; None for the usual draw."""
        replaced = f"training images are drawn with replacement ({self.per_class} a class, some of them repeatedly)"
        parts = [replaced] if self.replacement else []
        parts += ["BACKGROUND_Google is a class of its own"] if self.background == "in" else []
        return f"Caltech-101: {' and '.join(parts)}." if parts else None

    def drawn(self, images: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Sorted names that each category trains on, from those it has; a name as often as it was drawn."""
        if self.replacement:
            return _with_replacement(images, self.per_class, self.seed)
        return {category: _without(category, names, self.per_class, self.seed) for category, names in images.items()}


def _without(category: str, names: Sequence[str], count: int, seed: int) -> list[str]:
    """The first by SHA-256 of `seed/category/name`, of `category/name` for seed 0.

    The same on every machine, in any order of the files, and where other images are missing.
    """
    salt = f"{seed}/{category}" if seed else category
    return sorted(sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())[:count])


def _with_replacement(images: Mapping[str, Sequence[str]], count: int, seed: int) -> dict[str, list[str]]:
    """By NumPy's first generator, one category after the other, as SSL-Transfer, SynCLR and Proteus do.

    Of the official archive with the background in, seed 0 draws their very images.
    """
    import numpy as np  # what only reads a suite does without

    rng = np.random.RandomState(seed)
    return {
        category: sorted(names[index] for index in rng.choice(len(names), count)) for category, names in images.items()
    }
