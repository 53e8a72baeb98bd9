"""The layouts of images with a class each, in which crops of photographs are written; light, sets declare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Crop:
    """An image to write, and the values that fill the templates of paths and of lines."""

    split: str
    name: str  # of the class
    label: int  # of the class, from 0
    index: int  # of the image, from 1

    def fill(self, template: str) -> str:
        """Return a path, or a line of a list."""
        values = {"split": self.split, "name": self.name, "label": self.label}
        return template.format(**values, number=self.label + 1, stem=f"{self.index:05d}")


@dataclass(frozen=True)
class WrittenLayout:
    """The place of an image of each split, or of any; the lists that name it; and the list of the classes."""

    image: str | Mapping[str, str]
    lists: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # by split: a file, and the line of an image
    names: tuple[str, str] | None = None  # a file, and the line of a class
    class_name: str = "{name}"  # of a photograph
    finish: Callable[[Path, Sequence[Crop]], None] | None = None  # writes lists that are no text

    def class_name_of(self, photograph: str) -> str:
        """Return the class that a photograph is."""
        return self.class_name.format(name=photograph)

    def path(self, crop: Crop) -> str:
        """Return the place of an image below the data set's folder."""
        return crop.fill(self.image if isinstance(self.image, str) else self.image[crop.split])
