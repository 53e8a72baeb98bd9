"""Data sets by name, and one data set found on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path

from umt.data.draw import Draw
from umt.declarations import read_json
from umt.errors import LayoutError, unknown_name

# Modules of this package, a file for each data set; each offers INFO.
NAMES = ("imagenet", "aircraft", "caltech101", "cub", "ade20k", "nyuv2")
MARKER = "umt-data.json"  # beside data in the layout of an official set that is not that set


@dataclass(frozen=True, slots=True)  # ImageNet has 1.3 million samples
class Sample:
    """An image file and its target: a class index from 0, or the file of its annotation."""

    image: Path
    target: int | Path


@dataclass(frozen=True)
class DatasetInfo:
    """Declaration of a data set in its official layout."""

    name: str  # "aircraft"
    title: str  # "FGVC-Aircraft"
    kind: str  # "classification", "segmentation" or "depth"
    folder: str  # the official folder below the data root: "fgvc-aircraft-2013b"
    splits: Mapping[str, int]  # items in each official split
    classes: int | None  # number of classes, None for depth
    source: str  # its source and the place of each file: the remedy of an error, so no capital and no full stop
    read: Callable[[Path, str], list[Sample]]  # (folder, split) -> items in a stable order
    class_names: Callable[[Path], list[str]] | None = None
    ends: tuple[str, str] | None = None  # official names of the first and the last class
    variants: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # other published splits, by their title
    redrawn: Callable[[Draw], DatasetInfo] | None = None  # if no split is official: the set as a draw splits it
    declared: DatasetInfo | None = None  # if another draw splits the set: the declaration whose sizes are official


@dataclass(frozen=True)
class Dataset:
    """A data set found at `root`, the official folder itself."""

    info: DatasetInfo
    root: Path

    def samples(self, split: str) -> list[Sample]:
        """Return all items of a split; UMTError names a file or value that is missing, empty or out of range."""
        return self._samples[split] if split in self._samples else self._read(split)

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the classes in order of index; empty if the layout holds none."""
        return self.info.class_names(self.root) if self.info.class_names else []

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number of items in each split."""
        return {split: len(self.samples(split)) for split in self.info.splits}

    @cached_property
    def official(self) -> bool:
        """True if every split has its official size, and no marker calls the folder another set."""
        if self.info.declared:  # a draw moves images between the splits, and leaves the folder as it is
            return Dataset(self.info.declared, self.root).official
        return not self.marked and self.sizes == dict(self.info.splits)

    @property
    def marked(self) -> bool:
        """True if a marker beside the data says that it is not the official set."""
        return bool(self._marker)

    @cached_property
    def title(self) -> str:
        """The name in tables: the official title only for the complete official set."""
        if self.official:
            return self.info.title
        variant = next((title for title, sizes in self.info.variants.items() if sizes == self.sizes), None)
        if variant and not self.marked:
            return variant
        return str(self._marker.get("title", f"{self.info.title} layout, {sum(self.sizes.values())} items"))

    @cached_property
    def origin(self) -> str:
        """The real and the rendered parts of the data, as its marker names them; empty without a marker."""
        parts = {part: self._marker.get(part) for part in ("real", "rendered")}
        return "; ".join(f"{part}: {text}" for part, text in parts.items() if text)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every item's relative path, size and target: equal data, equal fingerprint."""
        digest = hashlib.sha256(self.info.name.encode())
        for split in self.info.splits:
            for sample in self.samples(split):
                digest.update(f"{split}|{self._describe(sample.image)}|{self._target(sample)}\n".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def _prefix(self) -> str:
        return f"{self.root}{os.sep}"

    @cached_property
    def _samples(self) -> dict[str, list[Sample]]:
        return {}

    @cached_property
    def _marker(self) -> dict[str, object]:
        return read_marker(self.root)

    def _read(self, split: str) -> list[Sample]:
        if split not in self.info.splits:
            raise unknown_name(f"split of {self.info.title}", split, self.info.splits)
        samples = self.info.read(self.root, split)
        if not samples:
            raise LayoutError(f"{self.root}: split '{split}' of {self.info.title} is empty; {self.info.source}")
        self._samples[split] = samples
        return samples

    def _describe(self, path: Path) -> str:
        name = str(path).removeprefix(self._prefix)  # a million of them: relative_to would take most of the time
        return f"{name}:{path.stat().st_size}"

    def _target(self, sample: Sample) -> str:
        return self._describe(sample.target) if isinstance(sample.target, Path) else str(sample.target)


def read_marker(root: Path) -> dict[str, object]:
    """Read the marker beside the data; return an empty mapping if there is none."""
    path = root / MARKER
    if not path.is_file():
        return {}
    return read_json(path, "a JSON object", "correct it, or remove it with its data")


def dataset_info(name: str, draw: Draw | None = None) -> DatasetInfo:
    """Return a data set's declaration, as `draw` splits it if no split is official; UMTError lists the known names."""
    if name not in NAMES:
        raise unknown_name("data set", name, NAMES)
    info: DatasetInfo = import_module(f"umt.data.sets.{name}").INFO
    return info.redrawn(draw) if draw and info.redrawn else info


def find_dataset(
    name: str, data_root: Path, overrides: Mapping[str, Path] | None = None, draw: Draw | None = None
) -> Dataset:
    """Find the data set below `data_root`, or at its own folder in `overrides`; UMTError names the expected folder."""
    info = dataset_info(name, draw)
    root = (overrides or {}).get(name, data_root / info.folder)
    if not root.is_dir():
        raise LayoutError(f"{root}: {info.title} is not there; {info.source}")
    return Dataset(info, root)
