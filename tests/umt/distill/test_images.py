"""Images shown and skipped."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from umt.data.image_list import find_images
from umt.data.mini import write_mini
from umt.distill.images import FEW, Skipped, ViewImages, decode_view, training_images
from umt.distill.recipe import ViewSpec
from umt.distill.views import View, draw_view, render
from umt.errors import UMTError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty images in two sub-folders, one of them grey, and a text that is none."""
    root = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for index in range(20):
        path = root / f"part{index % 2}" / f"{index:02}.{'jpg' if index % 3 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels if index else pixels[..., 0]).save(path)
    (root / "notes.txt").write_text("no image")
    return root


@pytest.mark.slow
def test_training_images_of_several_sets_are_those_of_their_first_splits(tmp_path: Path) -> None:
    write_mini(tmp_path)
    images = training_images(["cub", "nyuv2"], tmp_path, {})
    assert len(images) == 200 + 32
    assert "CUB layout" in images.origin
    assert "NYU layout" in images.origin


def test_a_view_is_that_of_its_key_whatever_its_mode(folder: Path, tmp_path: Path) -> None:
    images, spec = find_images(folder), ViewSpec(size=32)
    views = pickle.loads(pickle.dumps(ViewImages(images, spec, 7, Skipped(tmp_path / "skipped.txt", 20))))
    for index in (0, 5):
        shown = views[index, 3]["images"]
        picture = Image.open(images.path(index)).convert("RGB")
        assert torch.equal(shown, render(draw_view(spec, 7, index, 3, 50 / 40), picture, 32))
    assert not torch.equal(views[0, 0]["images"], views[0, 1]["images"])


@pytest.fixture
def damaged(folder: Path) -> Callable[[int], None]:
    def damage(count: int) -> None:
        images = find_images(folder)
        for index in range(count):
            images.path(index).write_bytes(b"no image")

    return damage


def test_the_next_image_stands_in_for_a_damaged_one(
    folder: Path, tmp_path: Path, damaged: Callable[[int], None]
) -> None:
    damaged(2)
    skipped = Skipped(tmp_path / "skipped.txt", 20)
    views = ViewImages(find_images(folder), ViewSpec(size=32), 0, skipped)
    assert views.draw(0, 0)[2] == 2
    assert torch.equal(views[0, 0]["images"], views[2, 0]["images"])
    assert len(skipped.lines()) == 2
    assert "00.png: image cannot be decoded" in skipped.lines()[0]


def test_too_many_damaged_images_are_an_error_that_says_where_they_are_listed(
    folder: Path, tmp_path: Path, damaged: Callable[[int], None]
) -> None:
    damaged(FEW + 1)
    views = ViewImages(find_images(folder), ViewSpec(size=32), 0, Skipped(tmp_path / "skipped.txt", 20))
    with pytest.raises(
        UMTError, match=r"11 images cannot be decoded, more than the 10 .*skipped.txt lists them.*00.png"
    ):
        for index in range(20):
            views[index, 0]


def test_the_limit_grows_with_the_images(tmp_path: Path) -> None:
    assert Skipped(tmp_path / "a", 10_000).limit == 100
    assert Skipped(tmp_path / "a", 10).limit == FEW


def test_links_are_followed_and_no_image_is_found_twice(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere" / "LINKED.JPG")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "part0" / "circle").symlink_to(folder)
    (folder / "zz").symlink_to(folder / "part1")
    images = find_images(folder)
    names = [str(images.path(index).relative_to(folder)) for index in range(len(images))]
    assert len(names) == 21
    assert "link/LINKED.JPG" in names


def test_a_listed_file_that_is_not_there_has_a_fingerprint_and_is_skipped(folder: Path, tmp_path: Path) -> None:
    images = find_images(folder)
    images.path(4).unlink()
    assert images.fingerprint
    views = ViewImages(images, ViewSpec(size=32), 0, Skipped(tmp_path / "skipped.txt", 20))
    assert views.draw(4, 0)[2] == 5


def test_workers_list_each_damaged_image_once(folder: Path, tmp_path: Path, damaged: Callable[[int], None]) -> None:
    damaged(6)
    skipped = Skipped(tmp_path / "skipped.txt", 20)
    views = ViewImages(find_images(folder), ViewSpec(size=32), 0, skipped)
    keys = [(index, visit) for visit in range(3) for index in range(20)]
    assert len(list(DataLoader(views, batch_size=1, sampler=keys, num_workers=2))) == 60
    assert len(skipped.lines()) == len(set(skipped.lines())) == 6


def test_where_all_images_are_damaged_there_is_nothing_to_show(
    folder: Path, tmp_path: Path, damaged: Callable[[int], None]
) -> None:
    damaged(20)
    for path in list(folder.rglob("1*")):
        path.unlink()
    views = ViewImages(find_images(folder), ViewSpec(size=32), 0, Skipped(tmp_path / "skipped.txt", 10))
    with pytest.raises(UMTError, match="no image there can be decoded"):
        views[3, 0]


@pytest.mark.parametrize(("side", "reduced"), [(32, 4), (64, 2), (120, 1)])
def test_a_large_jpeg_is_decoded_as_finely_as_its_view_needs(
    side: int, reduced: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 6, 3), dtype=np.uint8))
    coarse.resize((480, 400), Image.Resampling.BICUBIC).save(tmp_path / "photo.jpg", quality=95)
    half = View(0.25, 0.25, 0.5, 0.5, 0, 1, 1, 1)
    sizes: list[tuple[int, int]] = []

    def spy(view: View, image: Image.Image, size: int) -> torch.Tensor:
        sizes.append(image.size)
        return render(view, image, size)

    monkeypatch.setattr("umt.distill.images.render", spy)
    pixels, view = decode_view(tmp_path / "photo.jpg", lambda aspect: half, side)
    assert sizes == [(480 // reduced, 400 // reduced)]
    assert view is half
    with Image.open(tmp_path / "photo.jpg") as whole:
        difference = (pixels.float() - render(half, whole.convert("RGB"), side).float()).abs()
    assert difference.mean() < 1
    assert difference.max() <= 6


def test_an_orientation_is_left_alone(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg", exif=exif)
    aspects: list[float] = []

    def draw(aspect: float) -> View:
        aspects.append(aspect)
        return View(0, 0, 1, 1, 0, 1, 1, 1)

    decode_view(tmp_path / "a.jpg", draw, 32)
    assert aspects == [1.5]


@pytest.mark.parametrize("suffix", ["", ".lock"])
def test_a_linked_list_is_not_written_through(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / f"skipped.txt{suffix}").symlink_to("target")
    skipped = Skipped(tmp_path / "skipped.txt", 20)
    with pytest.raises(UMTError, match=r"skipped.txt: damaged images cannot be listed there \(.*\); remove it"):
        skipped.add(UMTError("x.png: image cannot be decoded"))
    assert (tmp_path / "target").read_text() == "mine"
