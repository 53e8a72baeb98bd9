"""The size of a cache, and a disk that fills up: what was finished stays, and the same command goes on."""

from __future__ import annotations

import errno
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import IO, Any

import numpy as np
import pytest
import torch
from PIL import Image

from umt.backbones import create_backbone
from umt.data.image_list import find_images
from umt.distill.cache import writer as cache_writer
from umt.distill.cache.cache import Manifest
from umt.distill.cache.writer import SHARD_BYTES, SHARD_VIEWS, Size, check_room, fill, plan_cache, size_of_view
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared, build_student
from umt.distill.recipe import DistillRecipe, TeacherSpec
from umt.distill.teachers.teacher import Teacher
from umt.errors import UMTError
from umt.files import atomic_file


@pytest.fixture
def write(recipe: Callable[..., DistillRecipe], tmp_path: Path) -> Callable[[Path], Manifest]:
    """Fills a folder with a cache of three shards."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for index in range(6):
        Image.fromarray(np.random.default_rng(index).integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(
            pictures / f"{index}.png"
        )
    made = recipe()
    student = build_student(made)
    prepared = Prepared(made, find_images(pictures), student, tmp_path)
    teachers = prepared.teachers()

    def write(folder: Path) -> Manifest:
        manifest = plan_cache(prepared, teachers, folder, visits=1, shard=2, pixels=False)
        views = ViewImages(prepared.images, made.views, made.seed, Skipped(folder / "skipped.txt", 6))
        fill(prepared, teachers, manifest, views, folder, torch.device("cpu"), 2, lambda done, total: None)
        return manifest

    return write


def test_a_full_disk_keeps_what_was_finished(
    write: Callable[[Path], Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full(path: Path) -> Iterator[IO[bytes]]:
        with atomic_file(path) as handle:
            yield handle
            if path.name == "shard-00001.safetensors":
                raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache_writer, "atomic_file", full)
    with pytest.raises(UMTError, match=r"shard-00001.safetensors: cannot be written \(No space left on device\)"):
        write(tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").glob("*shard-*")] == ["shard-00000.safetensors"]
    assert not list((tmp_path / "cache").glob(".partial-*"))
    monkeypatch.undo()
    first = (tmp_path / "cache" / "shard-00000.safetensors").stat().st_mtime_ns
    assert write(tmp_path / "cache").missing(tmp_path / "cache") == []
    assert (tmp_path / "cache" / "shard-00000.safetensors").stat().st_mtime_ns == first


def test_teachers_go_on_while_a_shard_is_written(
    write: Callable[[Path], Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the first shard wait for a teacher's call of the second one: in turns they would wait for ever."""
    images_by_teacher: Counter[str] = Counter()
    second = Event()
    plain_call, plain_write = Teacher.__call__, cache_writer._write

    def counted(teacher: Teacher, images: torch.Tensor) -> object:
        images_by_teacher[teacher.name] += len(images) if len(images) > 1 else 0  # but for the look at its widths
        if images_by_teacher[teacher.name] > 2:
            second.set()
        return plain_call(teacher, images)

    def waiting(folder: Path, number: int, *arguments: Any) -> None:
        assert number or second.wait(20), "the teachers did not go on"
        plain_write(folder, number, *arguments)
        assert len(list(folder.glob("shard-*"))) == number + 1, "one behind the other"

    monkeypatch.setattr(Teacher, "__call__", counted)
    monkeypatch.setattr(cache_writer, "_write", waiting)
    assert write(tmp_path / "cache").missing(tmp_path / "cache") == []


@pytest.fixture
def teacher() -> Callable[[str, str, str], Teacher]:
    def make(name: str, kind: str, backbone: str) -> Teacher:
        return Teacher(TeacherSpec(name, kind, backbone), create_backbone(backbone), 224, (7, 7))

    return make


def test_a_view_takes_its_fp16_targets_numbers_and_pixels(teacher: Callable[[str, str, str], Teacher]) -> None:
    teachers = [
        teacher("cnn", "classification", "timm:resnet18?pretrained=false"),
        teacher("vit", "dino", "timm:vit_tiny_patch16_224?pretrained=false&depth=1"),
    ]
    one = size_of_view(teachers, 224)
    assert one.parts == {
        "teacher cnn": 2 * (512 + 512) + 16,
        "teacher vit": 2 * (192 + 192 * 7 * 7) + 16,
        "views": 8 * 4 + 8 + 16,
        "pixels": 3 * 224 * 224 + 8,
    }
    assert "pixels" not in size_of_view(teachers, None).parts
    assert one.times(10).total == 10 * one.total
    assert one.shard() * one.total == pytest.approx(SHARD_BYTES, rel=0.01)
    assert Size({"one": 10**12}).shard() == 1
    assert Size({"one": 10}).shard() == SHARD_VIEWS


def test_a_cache_that_does_not_fit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=int(3e9)))
    folder = tmp_path / "not" / "there" / "yet"
    check_room(folder, Size({"teacher": int(3e9)}))
    with pytest.raises(UMTError, match=r"takes 3.50 GB and 3.00 GB are free; make room, lower --views"):
        check_room(folder, Size({"teacher": int(3e9), "views": int(5e8)}))


def test_what_is_there_of_it_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    (tmp_path / "shard-00000.safetensors").write_bytes(b"x" * 50)
    check_room(tmp_path, Size({"teacher": 150}))
    with pytest.raises(UMTError, match="make room"):
        check_room(tmp_path, Size({"teacher": 151}))


def test_targets_that_depend_on_the_views_beside_them_are_not_stored(
    recipe: Callable[..., DistillRecipe], tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((70, 80, 3), dtype=np.uint8)).save(tmp_path / "image.png")
    made = recipe("teachers.lite2.mosaic=2", "teachers.lite2.size=64")
    prepared = Prepared(made, find_images(tmp_path), build_student(made), tmp_path)
    with pytest.raises(
        UMTError, match=r"teacher 'lite2': mosaic is 2, so .* distil without --targets, or take mosaic 1"
    ):
        plan_cache(prepared, prepared.teachers(), tmp_path / "cache", visits=1, shard=2, pixels=False)
