"""Images shown and skipped."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from umt.data.image_list import find_images
from umt.data.mini import write_set
from umt.distill.images import (
    MAX_DAMAGED,
    VIEW_NUMBERS,
    Skipped,
    View,
    ViewImages,
    decode_view,
    draw_view,
    render,
    training_images,
    weighted,
)
from umt.distill.recipe import ViewSpec
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
@pytest.mark.parametrize(
    ("weight", "expected"), [(1, "abcd"), (2, "abcdabcd"), (2.5, "abcdabcdac"), (0.5, "ac"), (0.75, "abc"), (0.1, "a")]
)
def test_a_weight_repeats_whole_rounds_and_spreads_the_rest(weight: float, expected: str) -> None:
    assert "".join(weighted("abcd", weight)) == expected


def test_training_images_of_several_sets_are_those_of_their_first_splits(tmp_path: Path) -> None:
    for name in ("cub", "nyuv2"):
        write_set(name, tmp_path)
    images = training_images(["cub", "nyuv2"], tmp_path, {})
    assert len(images) == 200 + 32
    assert images.origin == "crops C, rooms and stereo"
    assert len(training_images(["cub", "nyuv2"], tmp_path, {}, {"nyuv2": 0.5})) == 200 + 16


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
    damaged(MAX_DAMAGED + 1)
    views = ViewImages(find_images(folder), ViewSpec(size=32), 0, Skipped(tmp_path / "skipped.txt", 20))
    with pytest.raises(
        UMTError, match=r"11 images cannot be decoded, more than the 10 .*skipped.txt lists them.*00.png"
    ):
        for index in range(20):
            views[index, 0]


def test_the_limit_grows_with_the_images(tmp_path: Path) -> None:
    assert Skipped(tmp_path / "a", 10_000).limit == 100
    assert Skipped(tmp_path / "a", 10).limit == MAX_DAMAGED


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


WHOLE = View(0, 0, 1, 1, 0, 1, 1, 1)


@pytest.fixture
def image() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC)


@settings(max_examples=200, deadline=None)
@given(
    aspect=st.floats(0.05, 20),
    image=st.integers(0, 10**7),
    visit=st.integers(0, 1000),
    low=st.floats(0.05, 1.0),
)
def test_a_crop_is_inside_of_the_image_with_the_asked_area(aspect: float, image: int, visit: int, low: float) -> None:
    view = draw_view(ViewSpec(scale=(low, 1.0), jitter=0.4), 0, image, visit, aspect)
    assert 0 <= view.left <= view.left + view.width <= 1 + 1e-6
    assert 0 <= view.top <= view.top + view.height <= 1 + 1e-6
    ratio = aspect * view.width / view.height
    assert 0.75 - 1e-4 <= ratio <= 4 / 3 + 1e-4
    if 0.75 <= aspect <= 4 / 3:  # else the largest crop may have to be smaller
        assert view.width * view.height >= min(low, 0.56) - 1e-4
    assert all(0.6 - 1e-6 <= factor <= 1.4 + 1e-6 for factor in (view.brightness, view.contrast, view.saturation))


def torchvision_crops(spec: ViewSpec, height: int, width: int, count: int) -> np.ndarray:
    """Left, top, width and height of crops as torchvision draws them, in shares of the image's [count, 4]."""
    torch.manual_seed(0)
    blank = torch.zeros(1, height, width)
    boxes = [RandomResizedCrop.get_params(blank, list(spec.scale), list(spec.ratio)) for _ in range(count)]
    return np.array([(left, top, wide, high) for top, left, high, wide in boxes]) / [width, height, width, height]


def test_crops_are_spread_as_those_of_torchvision() -> None:
    """Means of 4000 draws, within four standard errors."""
    theirs = torchvision_crops(ViewSpec(), 600, 800, 4000)
    ours = np.array([draw_view(ViewSpec(), 0, image, 0, 800 / 600).numbers()[:4] for image in range(4000)])
    error = np.sqrt((ours.var(axis=0) + theirs.var(axis=0)) / 4000)
    assert (np.abs(ours.mean(axis=0) - theirs.mean(axis=0)) < 4 * error).all()


@pytest.mark.parametrize(("height", "width"), [(100, 600), (600, 100)])
def test_an_image_too_narrow_for_any_crop_gives_the_largest_at_its_centre(height: int, width: int) -> None:
    spec = ViewSpec(scale=(0.9, 1.0))
    expected = torchvision_crops(spec, height, width, 1)[0]
    assert draw_view(spec, 0, 0, 0, width / height).numbers()[:4] == pytest.approx(expected, abs=1 / 100)


def test_a_view_is_a_function_of_seed_image_and_visit() -> None:
    spec = ViewSpec(jitter=0.2)
    same = draw_view(spec, 1, 2, 3, 1.5)
    assert draw_view(spec, 1, 2, 3, 1.5) == same
    assert len({same, draw_view(spec, 2, 2, 3, 1.5), draw_view(spec, 1, 3, 3, 1.5), draw_view(spec, 1, 2, 4, 1.5)}) == 4


def test_its_numbers_in_float32_are_the_view() -> None:
    for visit in range(50):
        view = draw_view(ViewSpec(jitter=0.3), 0, 0, visit, 1.3)
        stored = torch.tensor(view.numbers(), dtype=torch.float32)
        assert len(stored) == VIEW_NUMBERS
        assert View(*stored.tolist()) == view


def test_half_of_the_views_are_mirror_images() -> None:
    flips = [draw_view(ViewSpec(), 0, image, 0, 1.0).flip for image in range(2000)]
    assert set(flips) == {0.0, 1.0}
    assert np.mean(flips) == pytest.approx(0.5, abs=0.04)


def test_pixels_are_those_of_torchvisions_resized_crop(image: Image.Image) -> None:
    view = View(0.25, 0.2, 0.5, 0.6, 0, 1, 1, 1)
    expected = tv.resized_crop(
        tv.pil_to_tensor(image), 18, 30, 54, 60, [32, 32], antialias=True, interpolation=tv.InterpolationMode.BICUBIC
    )
    difference = (render(view, image, 32).float() - expected.float()).abs()
    assert difference[:, 2:-2, 2:-2].max() <= 3  # a crop first hides the pixels around it from the filter
    assert difference.mean() < 1


def test_a_flip_mirrors_and_colours_are_changed_as_pillow_does(image: Image.Image) -> None:
    plain = render(WHOLE, image, 32)
    assert plain.dtype == torch.uint8
    assert plain.shape == (3, 32, 32)
    assert torch.equal(render(View(0, 0, 1, 1, 1, 1, 1, 1), image, 32), plain.flip(2))
    brighter = ImageEnhance.Brightness(Image.fromarray(plain.permute(1, 2, 0).numpy())).enhance(1.5)
    assert torch.equal(
        render(View(0, 0, 1, 1, 0, 1.5, 1, 1), image, 32), torch.from_numpy(np.array(brighter)).permute(2, 0, 1)
    )
