"""Data sets of images with one or several classes, in the layouts that they share."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from umt.data.contract import MiniVersion
from umt.data.mini.layout import WrittenLayout


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
