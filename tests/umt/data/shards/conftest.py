"""Class folders, and the same images in tars of each known form."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from umt.data.shards import lookup

CLASSES = ("n01440764", "n01443537", "n02099601")
FORMS = ("classes", "nested", "folders", "cls", "json", "together")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of the test, and a process that knows no index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    lookup.INDICES.clear()
    yield tmp_path / "cache"
    lookup.INDICES.clear()


@pytest.fixture
def folders(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    """An ImageNet of nine images to train and six to test, in folders."""
    root = tmp_path / "folders"
    for split, count in (("train", 3), ("val", 2)):
        for number, name in enumerate(CLASSES):
            for image in range(count):
                make_image(root / split / name / f"{name}_{split}{image}.JPEG", (20 + 5 * number + image, 16 + image))
    return root


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def pack(source: Path, target: Path, form: str) -> None:
    """Write the class folders of a split as tars of one form, by Python's tarfile alone."""
    images = sorted(source.rglob("*.JPEG"))
    shard = target.parent / f"imagenet1k-{target.name}-{{:04d}}.tar" if form == "together" else target / "{:06d}.tar"
    shard.parent.mkdir(parents=True, exist_ok=True)
    if form == "classes":
        for name in CLASSES:
            with tarfile.open(target / f"{name}.tar", "w") as tar:
                for image in images:
                    if image.parent.name == name:
                        tar.add(image, image.name)
    elif form == "nested":
        pack(source, target / "inner", "classes")
        with tarfile.open(target / "ILSVRC2012_img.tar", "w") as tar:
            for inner in sorted((target / "inner").iterdir()):
                tar.add(inner, inner.name)
                inner.unlink()
        (target / "inner").rmdir()
    else:
        mixed = [*images[::2], *images[1::2]]  # shards are shuffled
        for number in range(2):
            with tarfile.open(str(shard).format(number), "w", format=tarfile.GNU_FORMAT) as tar:
                for image in mixed[number::2]:
                    write_sample(tar, image, form)


def write_sample(tar: tarfile.TarFile, image: Path, form: str) -> None:
    label = CLASSES.index(image.parent.name)
    if form == "folders":
        tar.add(image, f"./train/{image.parent.name}/{image.name}")
        return
    tar.add(image, image.name)
    if form == "json":
        add(tar, f"{image.stem}.json", json.dumps({"label": label, "width": 20}).encode())
    else:
        add(tar, f"{image.stem}.cls", f"{label}\n".encode())


@pytest.fixture
def packed(folders: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Packs that ImageNet in a form, and returns its folder."""

    def pack_all(form: str) -> Path:
        root = tmp_path / form
        for split in ("train", "val"):
            pack(folders / split, root / split, form)
        if form in ("cls", "json", "together"):
            (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
        return root

    return pack_all
