"""The shared layouts, and the data sets in them, against torchvision's readers of the same folders."""

from __future__ import annotations

import json
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from rich.progress import Progress
from torchvision import datasets

from umt.data.archives import Archive
from umt.data.contract import Dataset
from umt.data.layouts import ImageLists, gathered, listed_names, matlab
from umt.data.mini import write_mini
from umt.data.registry import dataset_info, find_dataset
from umt.errors import UMTError

LABELLED = ("cars", "dtd", "flowers102", "food101", "inat2018", "inat2021", "pets", "places365", "sun397")
Read = Callable[[Path], tuple[list[str], list[int]]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, tiny_size: dict[str, Any]) -> Path:
    out = tmp_path_factory.mktemp("labelled")
    write_mini(out, tiny_size, names=LABELLED)
    return out


def of_torchvision(reader: Any, **options: Any) -> Read:
    """Read images and labels by the attributes that torchvision's readers of lists share."""

    def read(root: Path) -> tuple[list[str], list[int]]:
        found = reader(root, **options)
        files = getattr(found, "_images", None) or found._image_files
        return [Path(file).name for file in files], list(found._labels)

    return read


def cars(root: Path) -> tuple[list[str], list[int]]:
    samples = datasets.StanfordCars(root, split="test")._samples
    return [Path(file).name for file, _ in samples], [int(label) for _, label in samples]


def inat(root: Path) -> tuple[list[str], list[int]]:
    samples = datasets.ImageFolder(str(root / "inat2021" / "val")).samples
    return [Path(file).name for file, _ in samples], [label for _, label in samples]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("food101", of_torchvision(datasets.Food101, split="test")),
        ("dtd", of_torchvision(datasets.DTD, split="test")),
        ("pets", of_torchvision(datasets.OxfordIIITPet, split="test")),
        ("flowers102", of_torchvision(datasets.Flowers102, split="test")),
        ("cars", cars),
        ("inat2021", inat),
    ],
)
def test_torchvision_reads_the_same(written: Path, monkeypatch: pytest.MonkeyPatch, name: str, read: Read) -> None:
    monkeypatch.setattr("torchvision.datasets.flowers102.check_integrity", lambda path, md5: True)  # other content
    meta = written / "food-101" / "meta"
    by_class: dict[str, list[str]] = {}
    for line in (meta / "test.txt").read_text().split():
        by_class.setdefault(line.partition("/")[0], []).append(line)
    (meta / "test.json").write_text(json.dumps(by_class))
    if name == "dtd":
        (written / "dtd" / "dtd").unlink(missing_ok=True)
        (written / "dtd" / "dtd").symlink_to(written / "dtd")
    expected = read(written)
    if name == "dtd":
        (written / "dtd" / "dtd").unlink()
    samples = find_dataset(name, written).reported_samples
    assert [sample.image.name for sample in samples] == expected[0]
    assert [sample.target for sample in samples] == expected[1]


@pytest.mark.parametrize("name", LABELLED)
def test_every_class_is_in_every_split(written: Path, name: str) -> None:
    dataset = find_dataset(name, written)
    for split in dataset.info.splits:
        assert {sample.target for sample in dataset.samples(split)} == set(range(len(dataset.class_names)))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("dishes/1", "'dishes/1' has no class of this data set"),
        ("pie/9", r"9\.jpg: image is listed in .* but missing"),
        ("pie/1\npie/1", "comes twice"),
        ("../pie/1", "has no class|is no path below"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(
    tmp_path: Path, make_image: Callable[..., Path], lines: str, message: str
) -> None:
    make_image(tmp_path / "images" / "pie" / "1.jpg")
    (tmp_path / "classes.txt").write_text("/pie\n")
    (tmp_path / "test.txt").write_text(lines)
    lists = ImageLists({"test": "test.txt"}, {"test": "images"}, partial(listed_names, "classes.txt", 1), suffix=".jpg")
    with pytest.raises(UMTError, match=message):
        lists.read(tmp_path, "test")


@pytest.mark.parametrize("number", ["0", "2", "-1", "one"])
def test_a_number_that_is_no_class_is_named(tmp_path: Path, make_image: Callable[..., Path], number: str) -> None:
    make_image(tmp_path / "1.jpg")
    (tmp_path / "test.txt").write_text(f"1.jpg {number}")
    lists = ImageLists({"test": "test.txt"}, {"test": ""}, lambda root: ["pie"], columns=2, first=1)
    with pytest.raises(UMTError, match=f"'1.jpg {number}' has no class"):
        lists.read(tmp_path, "test")


def test_a_matlab_file_that_is_broken_or_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "setid.mat").write_bytes(b"no MATLAB")
    for name, message in (("setid.mat", "cannot be read"), ("labels.mat", "is missing")):
        with pytest.raises(UMTError, match=f"{name}: .*{message}"):
            matlab(tmp_path / name, "trnid")


def test_a_list_of_inaturalist_that_is_broken_is_named(tmp_path: Path) -> None:
    for text in ("{", "[]", '{"categories": [{}]}', '{"categories": 3}'):
        (tmp_path / "val2018.json").write_text(text)
        with pytest.raises(UMTError, match=r"val2018\.json: "):
            Dataset(dataset_info("inat2018"), tmp_path).class_names  # noqa: B018  (reads the list)


def test_files_of_several_archives_are_gathered(tmp_path: Path) -> None:
    """As for SUN397, whose lists come without the folder of the images, and for Flowers-102, with plain files."""
    out, scratch = tmp_path / "out", tmp_path / "scratch"
    for folder in (out, scratch, tmp_path / "SUN397" / "a"):
        folder.mkdir(parents=True)
    (tmp_path / "SUN397" / "a" / "abbey.jpg").write_bytes(b"image")
    with tarfile.open(tmp_path / "SUN397.tar.gz", "w:gz") as tar:
        tar.add(tmp_path / "SUN397", "SUN397")
    with zipfile.ZipFile(tmp_path / "lists.zip", "w") as lists:
        lists.writestr("a/more.txt", "more")
        lists.writestr("Training_01.txt", "/a/abbey.jpg")
    (tmp_path / "setid.mat").write_bytes(b"numbers")
    archives = [Archive(name, files=9, gigabytes=0.1) for name in ("SUN397.tar.gz", "lists.zip", "setid.mat")]
    part = gathered("sets/SUN397", *archives)
    part.build({archive: tmp_path / archive.name for archive in archives}, out, scratch, Progress(disable=True))
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert written == ["Training_01.txt", "a/abbey.jpg", "a/more.txt", "setid.mat"]
