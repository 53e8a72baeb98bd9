"""The index of a data set, and the fingerprint of a list of images: against the Path objects of a plain program."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.perf.row import PerfRow, interleaved
from umt.data.contract import Sample
from umt.data.reading import class_images, foldered_samples, subfolders
from umt.feature_cache.key import NAME_DIGITS, images_fingerprint

FOLDERS, FILES = 20, 1000  # files in each of the folders
LINKS = 10_000  # names of one file, as many as any file system allows


def measure(device: torch.device) -> list[PerfRow]:
    """Measure seconds for 20,000 images: at least 2.5 times as fast, by the same hash, and with the same samples."""
    with tempfile.TemporaryDirectory() as folder:
        paths = linked_images(Path(folder), FOLDERS, FILES)
        return [fingerprint_row(paths), index_row(Path(folder))]


def index_row(root: Path, repeats: int = 5) -> PerfRow:
    """Compare what each job does before it opens the first image of the class folders below `root`."""
    names = subfolders(root)
    samples, paths = with_sample_objects(root, names)
    ours_first = foldered_samples(root, names, names)
    is_equal = ours_first == samples and (ours_first.paths == paths).all()
    theirs, ours = interleaved(
        lambda: with_sample_objects(root, names),
        lambda: foldered_samples(root, names, names),
        repeats=repeats,
        clock=time.process_time,
    )
    return PerfRow(
        f"index of {len(paths):,} images", "a list of samples, then their paths", theirs, ours, 2.5, _note(is_equal)
    )


def with_sample_objects(root: Path, names: Sequence[str]) -> tuple[list[Sample], np.ndarray]:
    """Return a list of samples, and the array of paths that worker processes can share."""
    samples = [
        Sample(root / name / image, label) for label, name in enumerate(names) for image in class_images(root / name)
    ]
    return samples, np.array([os.fsencode(sample.image) for sample in samples])


def fingerprint_row(paths: Sequence[Path], repeats: int = 5) -> PerfRow:
    """Compare both on these files."""
    is_equal = images_fingerprint(paths) == with_path_objects(paths)
    theirs, ours = interleaved(
        lambda: with_path_objects(paths), lambda: images_fingerprint(paths), repeats=repeats, clock=time.process_time
    )
    return PerfRow(f"fingerprint of {len(paths):,} images", "Path objects", theirs, ours, 2.5, _note(is_equal))


def _note(is_equal: bool) -> str:
    return "equal" if is_equal else "NOT equal"


def linked_images(root: Path, folders: int, files: int) -> list[Path]:
    """Write names of a few real files, by hard links, in folders as ImageNet has them."""
    paths: list[Path] = []
    for number in range(folders):
        folder = root / f"n{number:08}"
        folder.mkdir(parents=True)
        for index in range(files):
            path = folder / f"n{number:08}_{index}.JPEG"
            if len(paths) % LINKS == 0:
                path.write_bytes(b"x" * (1 + len(paths) // LINKS))
                linked = path
            else:
                os.link(linked, path)
            paths.append(path)
    return paths


def with_path_objects(paths: Sequence[Path]) -> str:
    """Return the same hash by pathlib."""
    absolute = [path.absolute() for path in paths]
    root = Path(os.path.commonpath([path.parent for path in absolute]))
    digest = hashlib.sha256()
    for path in absolute:
        size = path.stat().st_size if path.is_file() else -1
        digest.update(os.fsencode(path.relative_to(root)) + f":{size}\n".encode())
    return digest.hexdigest()[:NAME_DIGITS]
