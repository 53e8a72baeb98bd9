"""The layouts of images with a class each, in which crops of photographs are written; light, sets declare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from umt.data.contract import MiniVersion


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


def labelled_mini(name: str, title: str, letter: str, layout: WrittenLayout) -> MiniVersion:
    """Return the embedded version of a set: crops of some photographs, each photograph a class.

    name, title: the data set's. letter: tells its crops from those of other sets, in titles and by their places.
    """
    return MiniVersion(
        f"crops {letter}",
        (8, 4),  # crops a photograph to train with and to test on; as many select
        partial(_write, name, layout, ord(letter) - ord("D") + 5),
        real=f"crops of photographs from scikit-image and scikit-learn, each photograph a class, in {title}'s layout",
        example=False,
    )


def _write(name: str, layout: WrittenLayout, seed: int, folder: Path, counts: tuple[int, int]) -> None:
    from umt.data.mini.labelled import write_labelled  # slow to import

    write_labelled(name, layout, seed, folder, counts)
