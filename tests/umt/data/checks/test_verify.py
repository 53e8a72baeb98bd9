"""The problems that `umt data verify` finds, and the record that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress

from umt.data import registry
from umt.data.checks import verify
from umt.data.checks.record import read_record, record_path
from umt.data.contract import DatasetInfo
from umt.data.mini import mini_versions, write_set
from umt.data.registry import BUILT_IN
from umt.data.sets import aircraft, nyuv2
from umt.errors import UMTError

ROWS = {"train": (1, 2), "val": (3, 4), "test": (5, 6)}
SMALL = replace(aircraft.INFO, splits={"train": 2, "val": 2, "test": 2}, classes=2, ends=("707-320", "Yak-42"))


@pytest.fixture
def progress() -> Progress:
    return Progress(disable=True)


@pytest.fixture
def root(tmp_path: Path, make_image: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Aircraft of six photographs, which counts as the official one here."""
    declare(monkeypatch, SMALL)
    folder = tmp_path / SMALL.folder / "data"
    for number in (number for pair in ROWS.values() for number in pair):
        make_image(folder / "images" / f"{number}.jpg")
    (folder / "variants.txt").write_text("707-320\nYak-42\n")
    for split, (first, second) in ROWS.items():
        (folder / f"images_variant_{split}.txt").write_text(f"{first} 707-320\n{second} Yak-42\n")
    return tmp_path


def declare(monkeypatch: pytest.MonkeyPatch, info: DatasetInfo) -> None:
    monkeypatch.setattr(registry.import_module(f"umt.data.sets.{info.name}"), "INFO", info)


def problems(root: Path, progress: Progress) -> str:
    return "\n".join(verify.verify("aircraft", root, progress).problems)


def test_a_sound_set_is_recorded(root: Path, progress: Progress) -> None:
    report = verify.verify("aircraft", root, progress)
    assert (report.title, report.problems) == ("FGVC-Aircraft", ())
    assert report.sizes == {"train": 2, "val": 2, "test": 2}
    record = read_record(root, "aircraft")
    assert record.verified
    assert len(record.checksums) == 6
    assert record.fingerprint == registry.find_dataset("aircraft", root).fingerprint
    assert problems(root, progress) == ""


def test_a_changed_byte_is_found(root: Path, progress: Progress) -> None:
    problems(root, progress)
    path = root / SMALL.folder / "data" / "images" / "4.jpg"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # of the entropy-coded pixels: it decodes, to another image
    path.write_bytes(content)
    found = problems(root, progress)
    assert "images/4.jpg: not the bytes verified on" in found
    assert f"remove {record_path(root, 'aircraft')} if this was meant" in found
    assert found.count("\n") == 0


def test_another_size_is_found_even_outside_the_sample(
    root: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch, make_image: Callable[..., Path]
) -> None:
    monkeypatch.setattr(verify, "SAMPLED_ITEMS", 1)
    problems(root, progress)
    make_image(root / SMALL.folder / "data" / "images" / "2.jpg", size=(40, 30))
    assert "files came, went or changed their size (fingerprint was" in problems(root, progress)


def test_what_cannot_be_decoded_is_named(root: Path, progress: Progress) -> None:
    (root / SMALL.folder / "data" / "images" / "6.jpg").write_bytes(b"no image")
    assert "images/6.jpg: image cannot be decoded" in problems(root, progress)
    assert read_record(root, "aircraft").verified == ""


def test_a_missing_file_is_named_and_other_splits_are_looked_at(root: Path, progress: Progress) -> None:
    for number in (1, 6):
        (root / SMALL.folder / "data" / "images" / f"{number}.jpg").unlink()
    found = problems(root, progress)
    assert "images/1.jpg: image is listed in" in found
    assert "images/6.jpg: image is listed in" in found


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"splits": {"train": 2, "val": 2, "test": 3333}}, "test has 2 items, the official 3,333; extract"),
        ({"classes": 100}, "2 classes, the official 100; extract"),
        ({"ends": ("707-320", "Zeppelin")}, "classes run from 707-320 to Yak-42, the official between 707-320 and Zep"),
    ],
)
def test_what_is_not_official_is_named(
    root: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], reason: str
) -> None:
    declare(monkeypatch, replace(SMALL, **change))  # type: ignore[arg-type]
    assert reason in problems(root, progress)


def test_a_class_without_items_is_named(root: Path, progress: Progress) -> None:
    (root / SMALL.folder / "data" / "images_variant_val.txt").write_text("3 707-320\n4 707-320\n")
    assert "val has no item of class Yak-42" in problems(root, progress)


def test_a_set_that_is_not_there_is_an_error(tmp_path: Path, progress: Progress) -> None:
    with pytest.raises(UMTError, match="CUB_200_2011: CUB-200-2011 is not there; extract"):
        verify.verify("cub", tmp_path, progress)


def test_a_broken_record_is_named(root: Path, progress: Progress) -> None:
    record_path(root, "aircraft").parent.mkdir()
    for content in ("{", "[]", '{"verified": 3}', '{"seal": ""}'):
        record_path(root, "aircraft").write_text(content)
        with pytest.raises(UMTError, match=r"aircraft\.json: not a record of a data set .*; remove it"):
            verify.verify("aircraft", root, progress)


@pytest.mark.parametrize("name", mini_versions())
def test_embedded_data_is_sound(name: str, tmp_path: Path, tiny_size: dict[str, Any], progress: Progress) -> None:
    write_set("imagenet", tmp_path, tiny_size)  # which its variants stand beside
    write_set(name, tmp_path, tiny_size)
    report = verify.verify(name, tmp_path, progress)
    assert (report.title, report.problems) == (mini_versions()[name].title, ())


def test_the_labelled_pairs_have_their_own_title(
    tmp_path: Path, progress: Progress, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = "NYUv2, labelled pairs only (795 to train)"
    assert nyuv2.INFO.subsets == {title: {"train": 795, "test": 654}}
    declare(monkeypatch, replace(nyuv2.INFO, subsets={title: {"train": 2, "test": 1}}))
    for split, count in (("train", 2), ("test", 1)):
        for number in range(count):
            for kind, value, dtype in (("images", 9, np.uint8), ("annotations", 2000, np.uint16)):
                path = tmp_path / "nyu" / kind / split / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((4, 6), value, dtype)).save(path)
    report = verify.verify("nyuv2", tmp_path, progress)
    assert (report.title, report.problems) == (title, ())
    assert not registry.find_dataset("nyuv2", tmp_path).official


GENUINE = {
    "caltech101": ("caltech101", ("test has 1,692 items, the official 5,647",)),
    "ade20k": ("ade20k_genuine", ("training has", "validation has")),
    "nyuv2": ("", ("train has 160 items, the official 24,231", "test has 80 items, the official 654")),
    "cub": ("cub10_2010_photos", ("train has", "test has", "10 classes, the official 200")),
}


@pytest.mark.parametrize("name", GENUINE)
def test_genuine_excerpts_lack_items_and_nothing_else(
    name: str, real_data: Path, tmp_path: Path, progress: Progress
) -> None:
    folder, expected = GENUINE[name]
    official = registry.dataset_info(name).folder
    place = tmp_path / official
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(real_data / folder / official if folder else real_data / "nyuv2_mini")
    if name == "caltech101":
        place.unlink()
        place.symlink_to(real_data / official)
    report = verify.verify(name, tmp_path, progress)
    assert len(report.problems) == len(expected)
    for problem, reason in zip(report.problems, expected, strict=True):
        assert reason in problem


def test_genuine_class_names_run_between_the_declared_ends(real_data: Path) -> None:
    names = registry.find_dataset("caltech101", real_data).class_names
    aircraft_names = aircraft.class_names(real_data / "fgvc_aircraft_meta_edges" / aircraft.INFO.folder)
    cub_info = registry.dataset_info("cub")
    cub_names = cub_info.class_names(real_data / "cub200_2011_metadata" / cub_info.folder)  # type: ignore[misc]
    assert (names[0], names[-1]) == registry.dataset_info("caltech101").ends
    assert (aircraft_names[0], aircraft_names[-1]) == aircraft.INFO.ends
    assert (cub_names[0], cub_names[-1]) == cub_info.ends


def test_every_classification_set_declares_its_ends() -> None:
    infos = [registry.dataset_info(name) for name in BUILT_IN]
    assert all((info.ends is not None) == (info.kind == "classification") for info in infos)
