"""What a cache is said to take is what it takes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from umt.backbones import create_backbone
from umt.distill.cache.size import SHARD_BYTES, SHARD_VIEWS, Size, check_room, free_bytes, size_of_view
from umt.distill.recipe import TeacherSpec
from umt.distill.teachers.teacher import Teacher
from umt.errors import UMTError


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
    assert free_bytes(folder) == 3e9
    check_room(folder, Size({"teacher": int(3e9)}))
    with pytest.raises(UMTError, match=r"takes 3.50 GB and 3.00 GB are free; make room, lower --views"):
        check_room(folder, Size({"teacher": int(3e9), "views": int(5e8)}))


def test_what_is_there_of_it_needs_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100))
    (tmp_path / "shard-00000.safetensors").write_bytes(b"x" * 50)
    check_room(tmp_path, Size({"teacher": 150}))
    with pytest.raises(UMTError, match="make room"):
        check_room(tmp_path, Size({"teacher": 151}))
