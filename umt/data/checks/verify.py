"""Verification of a data set on disk: counts, classes, labels, and a sample of files read in full."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
from rich.progress import Progress

from umt.data.checks.items import check_indices, check_item
from umt.data.checks.record import Record, read_record, record_path, write_record
from umt.data.contract import Dataset, LabelledImages, Sample
from umt.data.registry import find_dataset
from umt.data.shards.lookup import open_image
from umt.errors import DataError, UMTError, WriteError

SAMPLED_ITEMS = 100  # items of each split that are decoded and hashed


@dataclass(frozen=True)
class VerificationReport:
    """The outcome of a verification: `problems` holds a mistake and its remedy a line; empty for a sound set."""

    title: str
    sizes: dict[str, int]
    problems: tuple[str, ...]


def verify(name: str, data_root: Path, progress: Progress) -> VerificationReport:
    """Verify a whole data set; a sound one is recorded with its fingerprint and the checksums of the sample.

    Raises UMTError if it is not there at all.
    """
    dataset = find_dataset(name, data_root)
    record = read_record(data_root, name)
    broken = [problem for split in dataset.info.splits for problem in _index(dataset, split)]
    if broken:
        return VerificationReport(dataset.info.title, {}, tuple(broken))
    checksums: dict[str, str] = {}
    problems = (*_official(dataset), *_read(dataset, checksums, progress))
    problems = (*problems, *_changed(dataset, record, checksums, record_path(data_root, name)))
    if not problems:
        known = replace(record, title=dataset.title, fingerprint=dataset.fingerprint, checksums=checksums)
        with suppress(WriteError):  # a data root that others may only read needs no record
            write_record(data_root, name, replace(known, verified=date.today().isoformat()))
    return VerificationReport(dataset.title, dataset.sizes, problems)


def _index(dataset: Dataset, split: str) -> Iterator[str]:
    """Yield the error of a split that cannot be listed, or whose labels do not fit the classes."""
    try:
        samples = dataset.samples(split)
        if dataset.info.class_names:
            check_indices(dataset, samples)
    except UMTError as error:
        yield str(error)


def _official(dataset: Dataset) -> Iterator[str]:
    """Yield the differences from the official set, unless a marker calls the data another set."""
    info = dataset.info
    if dataset.marked or not info.sized or dataset.sizes in info.subsets.values():
        return
    for split, size in dataset.sizes.items():
        if size != info.splits[split]:
            yield f"{dataset.root}: {split} has {size:,} items, the official {info.splits[split]:,}; {info.source}"
    names = dataset.class_names
    if names and len(names) != info.classes:
        yield f"{dataset.root}: {len(names)} classes, the official {info.classes}; {info.source}"
    elif names and info.ends and (names[0], names[-1]) != info.ends:
        ends = " and ".join(info.ends)
        yield f"{dataset.root}: classes run from {names[0]} to {names[-1]}, the official between {ends}; {info.source}"
    for split in info.splits if names else ():
        missing = set(range(len(names))) - set(LabelledImages.of(dataset.samples(split)).targets.tolist())
        if missing:
            yield f"{dataset.root}: {split} has no item of class {names[min(missing)]}; {info.source}"


def _read(dataset: Dataset, checksums: dict[str, str], progress: Progress) -> Iterator[str]:
    """Decode a sample of each split, and note its checksums."""
    for split in dataset.info.splits:
        for sample in progress.track(_sample(dataset.samples(split)), description=f"read {split}"):
            try:
                check_item(dataset, sample)
            except UMTError as error:
                yield str(error)
            for path in (sample.image, sample.target):
                if isinstance(path, Path):
                    with suppress(OSError, UMTError), open_image(path) as file:  # its error has been told
                        checksums[path.relative_to(dataset.root).as_posix()] = hashlib.sha256(file.read()).hexdigest()


def _sample(samples: Sequence[Sample]) -> list[Sample]:
    """Return the first item, the last and evenly spaced ones between: the same in every run."""
    return [samples[index] for index in np.unique(np.linspace(0, len(samples) - 1, SAMPLED_ITEMS).astype(int))]


def _changed(dataset: Dataset, record: Record, checksums: dict[str, str], path: Path) -> Iterator[str]:
    """Yield the changes since the set was last found in order."""
    remedy = f"restore it, or remove {path} if this was meant"
    for name, checksum in checksums.items():
        if record.checksums.get(name, checksum) != checksum:
            yield f"{dataset.root / name}: not the bytes verified on {record.verified}; {remedy}"
    try:
        fingerprint = dataset.fingerprint
    except DataError as error:
        yield str(error)
        return
    if record.fingerprint not in ("", fingerprint):
        was = f"fingerprint was {record.fingerprint}, is {fingerprint}"
        yield f"{dataset.root}: files came, went or changed their size ({was}); {remedy}"
