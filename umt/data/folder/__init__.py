"""Any labelled folder as a data set: `folder:PATH`, a folder of images for each class, with or without splits.

`folder:PATH?classes=11` is one of images with masks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from umt.data.contract import DatasetInfo, LabelledImages, Roles
from umt.data.folder import masks
from umt.data.reading import class_images, foldered_samples, seeded_order, subfolders
from umt.data.shards.lookup import split_names
from umt.declarations import build
from umt.errors import DeclarationError, LayoutError, TooFewError

SCHEME = "folder"
TRAIN, VALIDATION, TEST = ("train", "training"), ("val", "valid", "validation"), ("test", "testing")


@dataclass(frozen=True)
class StratifiedSplit:
    """The images of each class that test, if the folder has no splits: the same on every machine."""

    test: float = 0.2  # share of each class, at least one image and never all
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.test < 1 or self.seed < 0:
            raise DeclarationError(
                f"test={self.test} and seed={self.seed} of a folder; test takes a share between 0 and 1, seed 0 or more"
            )

    def take(self, category: str, names: list[str], split: str) -> list[str]:
        """Return the names of one class that are in `split`, sorted."""
        if len(names) < 2:
            raise TooFewError(
                f"class '{category}': {len(names)} image, one to train and one to test are needed; add one"
            )
        count = min(max(1, round(self.test * len(names))), len(names) - 1)
        ordered = seeded_order(category, names, self.seed)
        return sorted(ordered[:count] if split == "test" else ordered[count:])

    @property
    def footnote(self) -> str:
        return f"{self.test:.0%} of each class test, drawn with seed {self.seed}, because the folder has no splits."


def folder_info(text: str, path: str, options: Mapping[str, Any]) -> DatasetInfo:
    """Return the declaration of the folder at `path`; `text` is its full name.

    Raises UMTError if there is no such folder, if it holds no class folders, or if an option is wrong.
    """
    root = Path(path).expanduser().absolute()
    if not root.is_dir():
        raise LayoutError(
            f"data set '{text}': {root} is no folder; give the folder that holds the classes or the splits"
        )
    if masks.OPTION in options:
        return masks.masks_info(_name(text, root), root, options)
    names = split_names(root) or subfolders(root)
    train, validation, test = (
        next((name for name in known if name in names), None) for known in (TRAIN, VALIDATION, TEST)
    )
    if train is None:
        return _unsplit(_name(text, root), root, build(StratifiedSplit, dict(options), f"data set '{text}'"))
    if options:
        raise DeclarationError(
            f"data set '{text}': {root} has a split '{train}', so that options split nothing; drop them"
        )
    report = test or validation
    if report is None:
        raise LayoutError(f"{root}: has '{train}' and neither 'val' nor 'test'; add one, or give {root / train}")
    roles = Roles(train, report, validation if test else None)
    return _info(_name(text, root), root, roles, partial(subfolders_of, train), partial(read_split, train))


def _name(text: str, root: Path) -> str:
    """Return the name with the full path, since jobs may run in another folder."""
    _, mark, query = text.partition("?")
    return f"{SCHEME}:{root}{mark}{query}"


def subfolders_of(split: str, root: Path) -> list[str]:
    """Return the names of the classes, which are the folders of one split."""
    return subfolders(root / split)


def _unsplit(text: str, root: Path, split: StratifiedSplit) -> DatasetInfo:
    read = partial(read_unsplit, split)
    return _info(text, root, Roles("train", "test"), subfolders, read, drawn=True, footnote=split.footnote)


def _info(text: str, root: Path, roles: Roles, class_names: Any, read: Any, **more: Any) -> DatasetInfo:
    names = class_names(root)
    if not names:
        raise LayoutError(
            f"{root}: holds no class folders; put the images of each class into a folder of its name, or a tar"
        )
    splits = dict.fromkeys(filter(None, (roles.train, roles.select, roles.report)), 0)
    return DatasetInfo(
        name=text,
        title=root.name,
        kind="classification",
        folder=str(root),
        splits=splits,
        roles=roles,
        classes=len(names),
        source="put the images of each class into a folder of its name",
        read=read,
        class_names=class_names,
        **more,
    )


def read_split(train: str, root: Path, split: str) -> LabelledImages:
    """List the images of a split in order of class and name; classes are those of the training split."""
    known, names = subfolders(root / train), subfolders(root / split)
    for name in names:
        if name not in known:
            raise LayoutError(f"{root / split / name}: class is not in '{train}'; add it there, or remove it here")
    return foldered_samples(root / split, names, known)


def read_unsplit(splitting: StratifiedSplit, root: Path, split: str) -> LabelledImages:
    """List the images that a seed draws for a split, in order of class and name."""
    return LabelledImages.of_classes(
        (root / name, splitting.take(name, class_images(root / name), split), label)
        for label, name in enumerate(subfolders(root))
    )
