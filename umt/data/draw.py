"""A seeded draw of the training images of each class, for data sets without an official split."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from umt.errors import DeclarationError, unknown_name

BACKGROUND = ("out", "in")


@dataclass(frozen=True)
class Draw:
    """The settings that split Caltech-101; all images that are not drawn are for testing."""

    per_class: int = 30
    seed: int = 0
    replacement: bool = False  # true if an image can be drawn, and trained on, more than once
    background: str = "out"  # BACKGROUND_Google, images of nothing in particular, as a class: "in" or "out"

    def __post_init__(self) -> None:
        if self.per_class < 1 or self.seed < 0:
            raise DeclarationError(
                f"draw: per_class {self.per_class} and seed {self.seed}; give at least 1, and 0 or more"
            )
        if self.background not in BACKGROUND:
            raise unknown_name("background", self.background, BACKGROUND)

    @property
    def footnote(self) -> str | None:
        """The note that a table must show for this draw; None for the usual draw."""
        replaced = f"training images are drawn with replacement ({self.per_class} a class, some of them repeatedly)"
        parts = [replaced] if self.replacement else []
        parts += ["BACKGROUND_Google is a class of its own"] if self.background == "in" else []
        return f"Caltech-101: {' and '.join(parts)}." if parts else None

    def drawn(self, images: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
        """Return the sorted names that each category trains on, out of its names; a name as often as it was drawn."""
        if self.replacement:
            return _with_replacement(images, self.per_class, self.seed)
        return {category: _without(category, names, self.per_class, self.seed) for category, names in images.items()}


def _without(category: str, names: Sequence[str], count: int, seed: int) -> list[str]:
    """Draw the first names by SHA-256 of `seed/category/name`, or of `category/name` for seed 0.

    The result is the same on every machine, in any order of the files, and if other images are missing.
    """
    salt = f"{seed}/{category}" if seed else category
    return sorted(sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())[:count])


def _with_replacement(images: Mapping[str, Sequence[str]], count: int, seed: int) -> dict[str, list[str]]:
    """Draw by NumPy's first generator, one category after the other, as SSL-Transfer, SynCLR and Proteus do.

    From the official archive, with the background as a class, seed 0 draws exactly their images.
    """
    import numpy as np  # slow to import, and not needed to read a suite

    rng = np.random.RandomState(seed)
    return {
        category: sorted(names[index] for index in rng.choice(len(names), count)) for category, names in images.items()
    }
