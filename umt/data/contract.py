"""The contract of a data set: one declaration with everything about it, and the data found on disk."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from umt.data.archives import Part
from umt.data.pairs import Pair
from umt.data.shards.lookup import packed_size
from umt.data.targets.labels import Labels
from umt.declarations import read_json
from umt.errors import AbsentError, DataError, DeclarationError, LayoutError, UMTError, unknown_name

WHOLE_IMAGES = ("classification", "multilabel", "landmarks", "captions")  # without maps: no task needs one for them
KINDS = (*WHOLE_IMAGES, "segmentation", "depth", "normals", "keypoints", "views", "video")
METRICS = ("top1", "mean_per_class")
MARKER = "umt-data.json"  # beside data in the layout of an official set that is not that set


@dataclass(frozen=True, slots=True)  # ImageNet has 1.3 million samples
class Sample:
    """An image file and its target: a class index from 0, the file of its annotation, or a code of several labels.

    box: the part of the image to take, in pixels: left, upper, right and lower edge. The last two count from the
    opposite edges of the image if they are not positive, as in a slice.
    """

    image: Path
    target: int | Path
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, eq=False)
class LabelledImages(Sequence[Sample]):
    """Samples with classes in two flat arrays: a million Path objects take six seconds and half a gigabyte.

    paths [N]: bytes as the file system has them. targets [N]: int64. boxes [N, 4]: as in `Sample`, None for whole
    images. A `Sample` is built when it is asked for.
    """

    paths: np.ndarray
    targets: np.ndarray
    boxes: np.ndarray | None = None

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> LabelledImages:
        """Return samples with classes in this form."""
        if isinstance(samples, cls):
            return samples
        paths = [os.fsencode(sample.image) for sample in samples]
        targets = np.array([sample.target for sample in samples], dtype=np.int64)
        return cls(np.array(paths, dtype=bytes), targets, boxes_of(samples))

    @classmethod
    def of_classes(cls, classes: Iterable[tuple[Path, Sequence[str], int]]) -> LabelledImages:
        """Return the images with these names in the folder of each class, in order."""
        paths, targets, counts = list[bytes](), list[int](), list[int]()
        for folder, names, target in classes:
            prefix = os.fsencode(folder) + os.fsencode(os.sep)
            paths.extend(prefix + os.fsencode(name) for name in names)
            targets.append(target)
            counts.append(len(names))
        return cls(np.array(paths, dtype=bytes), np.repeat(np.array(targets, dtype=np.int64), counts))

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> LabelledImages: ...

    def __getitem__(self, index: int | slice) -> Sample | LabelledImages:
        boxes = None if self.boxes is None else self.boxes[index]
        if isinstance(index, slice):
            return LabelledImages(self.paths[index], self.targets[index], boxes)
        box = None if boxes is None else tuple(boxes.tolist())
        return Sample(Path(os.fsdecode(self.paths[index])), int(self.targets[index]), box)

    def __eq__(self, candidate: object) -> bool:
        return isinstance(candidate, Sequence) and list(self) == list(candidate)

    def pairs(self) -> Iterator[tuple[str, int | Path]]:
        """Yield each path and its class."""
        return zip(map(os.fsdecode, self.paths), self.targets.tolist(), strict=True)


@dataclass(frozen=True)
class Roles:
    """The split to train on, the split of the reported number, and the split to choose hyper-parameters on, if any."""

    train: str
    report: str
    select: str | None = None


def plain_words(name: str) -> str:
    """Return the name of a class in words: 'Faces_easy' -> 'Faces easy'."""
    return name.replace("_", " ")


@dataclass(frozen=True)
class MiniVersion:
    """The embedded version of a data set: a few real or rendered items in its official layout."""

    title: str  # short: it stands over columns of tables, and `real` and `rendered` below them
    counts: Any  # items to write, in the form that `write` takes
    write: Callable[[Path, Any], None]  # (folder, counts)
    real: str = ""  # the origin of what is real
    rendered: str = ""  # what is rendered
    example: bool = True  # false if it is written for suites that name it only


@dataclass(frozen=True)
class DatasetInfo:
    """Declaration of a data set in its official layout: everything that is known before its files are seen.

    Raises UMTError if the kind, the metric or a role is none of the known ones.
    """

    name: str  # "aircraft"; a variant keeps its query, "caltech101?draw=published"
    title: str  # "FGVC-Aircraft"
    kind: str  # one of KINDS
    folder: str  # the official folder below the data root: "fgvc-aircraft-2013b"
    splits: Mapping[str, int]  # items in each official split; 0 if there is no official number
    roles: Roles
    classes: int | None  # number of classes, None for depth and video
    source: str  # its source and the place of each file: the remedy of an error, so no capital and no full stop
    read: Callable[[Path, str], Sequence[Sample]]  # (folder, split) -> items in a stable order
    class_names: Callable[[Path], list[str]] | None = None
    labels: Labels | None = None  # of a segmentation set, if they are not 0 for unlabelled and class index + 1
    label_names: tuple[str, ...] = ()  # of a set of masks or several labels, in order of the class index
    depth_range: tuple[float, float] | None = None  # metres between which the median of any depth map lies
    depth_scale: float = 1000.0  # values of a metre in its depth maps
    ends: tuple[str, str] | None = None  # official names of the first and the last class
    metric: str = "top1"  # the accuracy that papers report, one of METRICS
    answers: Callable[[Sequence[Sample]], list[frozenset[int]]] | None = None  # right classes, if not the target alone
    captions: Callable[[Path], Sequence[tuple[str, ...]]] | None = None  # of each reported image
    spoken: Callable[[str], str] = plain_words  # the name of a class as people say it; KeyError for an unknown one
    # Sentences around a spoken name, `{}`, or a list of open_clip's. A change needs a new version of `zeroshot/paper`.
    prompts: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()  # ways to the same folder have the same target: the first whose files are there counts
    nested: tuple[str, ...] = ()  # folders below `folder` that other archives put the layout into
    gigabytes: float | None = None  # disk space of the official set
    subsets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # other published sizes, by their title
    variant: Callable[[str, Mapping[str, Any]], DatasetInfo] | None = None  # (name, options of its query) -> that set
    drawn: bool = False  # true if a seed splits the set, so that a result names its training images
    footnote: str | None = None  # note that a table must show about this variant
    declared: DatasetInfo | None = None  # for a variant: the declaration whose sizes are official
    pair: Callable[[Sample], Pair] | None = None  # reads all of a pair of images, if the items are pairs
    mini: MiniVersion | None = None  # its version in the embedded data

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name(f"kind of data set '{self.name}'", self.kind, KINDS)
        if self.metric not in METRICS:
            raise unknown_name(f"metric of data set '{self.name}'", self.metric, METRICS)
        for split in filter(None, (self.roles.train, self.roles.report, self.roles.select)):
            if split not in self.splits:
                raise unknown_name(f"split in the roles of data set '{self.name}'", split, self.splits)

    @property
    def sized(self) -> bool:
        """True if the splits have official sizes."""
        return any(self.splits.values())

    @property
    def pixel_labels(self) -> Labels:
        """The values of the pixels of a segmentation set's annotations."""
        return self.labels or Labels.after_zero(self.classes or 0)

    @property
    def base(self) -> str:
        """The name without its query."""
        return self.name.partition("?")[0]


@dataclass(frozen=True)
class Dataset:
    """A data set found at `root`, the official folder itself."""

    info: DatasetInfo
    root: Path

    def samples(self, split: str) -> Sequence[Sample]:
        """Return all items of a split; UMTError names a file or value that is missing, empty or out of range."""
        return self._samples[split] if split in self._samples else self._read(split)

    @property
    def training_samples(self) -> Sequence[Sample]:
        """All items that may be trained on: the training split, then the one for selection if there is one."""
        roles = self.info.roles
        train = self.samples(roles.train)
        return [*train, *self.samples(roles.select)] if roles.select else train

    @property
    def reported_samples(self) -> Sequence[Sample]:
        """The items of the reported number."""
        return self.samples(self.info.roles.report)

    @cached_property
    def class_names(self) -> list[str]:
        """The names of the classes in order of index; empty if the layout holds none."""
        return self.info.class_names(self.root) if self.info.class_names else []

    @property
    def mask_names(self) -> Sequence[str]:
        """The names of the classes of masks in order of index, numbers if nothing names them."""
        count = len(self.info.pixel_labels.classes)
        return self.info.label_names or self.class_names or [f"class {index}" for index in range(1, count + 1)]

    @property
    def captions(self) -> Sequence[tuple[str, ...]]:
        """The captions of each reported image; none for a set without."""
        return self.info.captions(self.root) if self.info.captions else []

    @property
    def spoken_names(self) -> list[str]:
        """The names of the classes as people say them, in order of index; UMTError for a folder that names no class."""
        for name in self.class_names:
            if name.isdigit():  # a text tower would take '7' for a digit
                raise LayoutError(
                    f"{self.root}: class folder '{name}' is a number and no name; "
                    "call each folder by the name of its class"
                )
        try:
            return [self.info.spoken(name) for name in self.class_names]
        except KeyError as error:
            raise LayoutError(
                f"{self.root}: class folder {error} is no class of {self.info.title}; "
                "call the folder by the name of its class"
            ) from None

    @property
    def prompts(self) -> tuple[str, ...]:
        """The sentences that are published for the set; UMTError if there are none."""
        if not self.info.prompts:
            raise DeclarationError(
                f"data set '{self.info.name}' declares no prompts; take protocol 'single', or a protocol with templates"
            )
        return self.info.prompts

    @cached_property
    def absent(self) -> dict[str, UMTError]:
        """The splits whose folder is not there; a task that does not read them needs none. Never the reported one."""
        errors: dict[str, UMTError] = {}
        for split in self.info.splits:
            try:
                self.samples(split)
            except AbsentError as error:
                if split == self.info.roles.report:
                    raise
                errors[split] = error
        return errors

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number of items in each split that is there."""
        return {split: len(self.samples(split)) for split in self.info.splits if split not in self.absent}

    @cached_property
    def official(self) -> bool:
        """True if every split that is there has its official size, and no marker calls the folder another set."""
        if self.info.declared:  # a draw moves images between the splits, and leaves the folder as it is
            return Dataset(self.info.declared, self.root).official
        return not self.marked and all(self.info.splits[split] == size for split, size in self.sizes.items())

    @property
    def marked(self) -> bool:
        """True if a marker beside the data says that it is not the official set."""
        return bool(self._marker)

    @cached_property
    def title(self) -> str:
        """The name in tables: the official title only for the complete official set."""
        if self.official or not (self.info.sized or self.marked):
            return self.info.title
        subset = next((title for title, sizes in self.info.subsets.items() if sizes == self.sizes), None)
        if subset and not self.marked:
            return subset
        return str(self._marker.get("title", f"{self.info.title} layout, {sum(self.sizes.values())} items"))

    @cached_property
    def origin(self) -> str:
        """The real and the rendered parts of the data, as its marker names them; empty without a marker."""
        parts = {part: self._marker.get(part) for part in ("real", "rendered")}
        return "; ".join(f"{part}: {text}" for part, text in parts.items() if text)

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hex digits over every item's relative path, size and target: equal data, equal fingerprint."""
        digest = hashlib.sha256(self.info.base.partition(":")[0].encode())
        for split in self.sizes:
            for image, target in pairs_of(self.samples(split)):
                line = f"{split}|{self._describe(image)}|{self._target(target)}\n"
                digest.update(line.encode(errors="surrogateescape"))  # names that are no UTF-8 keep their bytes
        return digest.hexdigest()[:16]

    @cached_property
    def _prefix(self) -> str:
        return f"{self.root}{os.sep}"

    @cached_property
    def _samples(self) -> dict[str, Sequence[Sample]]:
        return {}

    @cached_property
    def _marker(self) -> dict[str, object]:
        return read_marker(self.root)

    def _read(self, split: str) -> Sequence[Sample]:
        if split not in self.info.splits:
            raise unknown_name(f"split of {self.info.title}", split, self.info.splits)
        samples = self.info.read(self.root, split)
        if not samples:
            raise LayoutError(f"{self.root}: split '{split}' of {self.info.title} is empty; {self.info.source}")
        self._samples[split] = samples
        return samples

    def _describe(self, path: str) -> str:
        name = path.removeprefix(self._prefix)  # a million of them: paths as objects would take most of the time
        try:
            size = packed_size(path)
            return f"{name}:{os.stat(path).st_size if size is None else size}"  # noqa: PTH116
        except OSError as error:  # a link that leads nowhere, or a file that has gone since it was listed
            raise DataError(f"{path}: cannot be read ({error.strerror}); restore the file, or remove it") from error

    def _target(self, target: int | Path) -> str:
        return self._describe(str(target)) if isinstance(target, Path) else str(target)


def pairs_of(samples: Sequence[Sample]) -> Iterator[tuple[str, int | Path]]:
    """Yield the path and the target of each sample; a path as an object costs microseconds."""
    if isinstance(samples, LabelledImages):
        return samples.pairs()
    return ((str(sample.image), sample.target) for sample in samples)


def boxes_of(samples: Sequence[Sample]) -> np.ndarray | None:
    """Return the boxes [N, 4] of samples, None if none has one; that of a whole image is 0, 0, 0, 0."""
    if isinstance(samples, LabelledImages):
        return samples.boxes
    boxes = [sample.box for sample in samples]
    return np.array([box or (0.0, 0.0, 0.0, 0.0) for box in boxes]) if any(boxes) else None


def read_marker(root: Path) -> dict[str, object]:
    """Read the marker beside the data; return an empty mapping if there is none."""
    path = root / MARKER
    if not path.is_file():
        return {}
    return read_json(path, "a JSON object", "correct it, or remove it with its data")
