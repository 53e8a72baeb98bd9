"""The VOC 2007 layout: lists of every class, difficult images, archives, and what is wrong with a list."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress
from torchvision.datasets.voc import DATASET_YEAR_DICT

from umt.data.checks.items import validate
from umt.data.registry import find_dataset
from umt.data.sets.labelled.voc2007 import ARCHIVES, CLASSES, INFO, write_mini
from umt.data.targets.multilabel import ABSENT, DIFFICULT, PRESENT, decode_states
from umt.errors import UMTError

LISTS = "ImageSets/Main"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("voc")
    write_mini(root / INFO.folder, (4, 2, 3))
    return root


@pytest.fixture
def root(written: Path, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    shutil.copytree(written, tmp_path / "data")
    return tmp_path / "data"


def test_states_are_those_of_the_lists(root: Path) -> None:
    dataset = find_dataset("voc2007", root)
    (dataset.root / LISTS / "cat_train.txt").write_text("000001  1\r\n000002 -1\n000003  0\n000004 -1\n")
    validate(dataset)
    assert dataset.sizes == {"train": 4, "val": 2, "test": 3}
    meaning = {"-1": ABSENT, "0": DIFFICULT, "1": PRESENT}
    for split in dataset.info.splits:
        samples = dataset.samples(split)
        states = decode_states(np.array([sample.target for sample in samples]), len(CLASSES))
        for label, name in enumerate(CLASSES):
            lines = (dataset.root / LISTS / f"{name}_{split}.txt").read_text().splitlines()
            assert [sample.image.stem for sample in samples] == [line.split()[0] for line in lines]
            assert states[:, label].tolist() == [meaning[line.split()[-1]] for line in lines]
    assert not dataset.official


def test_the_fingerprint_covers_every_label(root: Path) -> None:
    before = find_dataset("voc2007", root).fingerprint
    path = root / INFO.folder / LISTS / "tvmonitor_test.txt"
    path.write_text(path.read_text().replace("-1", " 0", 1))
    assert find_dataset("voc2007", root).fingerprint != before


def change(name: str, old: str, new: str) -> Callable[[Path], object]:
    def spoil(folder: Path) -> object:
        path = folder / LISTS / name
        return path.write_text(path.read_text().replace(old, new, 1))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / LISTS / "sofa_train.txt").unlink(), r"sofa_train\.txt: file of the data set is missing"),
        (lambda root: (root / "JPEGImages/000002.jpg").unlink(), r"000002\.jpg: image is listed in .* but missing"),
        (change("dog_train.txt", "-1", "2"), r"dog_train\.txt: image .0000\d\d. has value .2., expected -1, 0 or 1"),
        (change("dog_train.txt", "000002", "000009"), r"dog_train\.txt: lists other images than aeroplane_train\.txt"),
        (change("dog_train.txt", "000002", ""), r"dog_train\.txt: line 2 is .*, expected 2 fields"),
        (lambda root: (root / LISTS / "aeroplane_train.txt").write_text("../000001 1\n"), "is no path|other images"),
    ],
)
def test_what_is_wrong_is_named(root: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(root / INFO.folder)
    with pytest.raises(UMTError, match=message):
        find_dataset("voc2007", root).samples("train")


def test_archives_are_those_of_torchvision() -> None:
    theirs = [DATASET_YEAR_DICT[year] for year in ("2007", "2007-test")]
    assert [(archive.name, archive.md5) for archive in ARCHIVES] == [(one["filename"], one["md5"]) for one in theirs]


def test_both_archives_fill_one_folder(written: Path, tmp_path: Path) -> None:
    """The images of both splits lie in the same folder of their archives."""
    (part,) = INFO.parts
    tiny = tuple(replace(archive, md5="") for archive in ARCHIVES)
    for archive, tested in zip(tiny, (False, True), strict=True):
        with tarfile.open(tmp_path / archive.name, "w") as tar:
            for path in sorted((written / INFO.folder).rglob("*.*")):
                if path.suffix in (".jpg", ".txt") and (path.stem.endswith("test") or path.stem > "000006") == tested:
                    tar.add(path, path.relative_to(written).as_posix())
    files = dict(zip(tiny, (tmp_path / archive.name for archive in tiny), strict=True))
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    out.mkdir()
    part.build(files, out, scratch, Progress(disable=True))
    (tmp_path / "data/VOCdevkit").mkdir(parents=True)
    out.rename(tmp_path / "data" / INFO.folder)
    assert find_dataset("voc2007", tmp_path / "data").sizes == {"train": 4, "val": 2, "test": 3}
