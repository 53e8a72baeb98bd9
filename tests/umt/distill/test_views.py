"""Views: inside of their image, repeatable from their numbers, and the pixels that torchvision would give."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance
from torchvision.transforms import RandomResizedCrop
from torchvision.transforms.v2 import functional as tv

from umt.distill.recipe import ViewSpec
from umt.distill.views import NUMBERS, View, draw_view, render

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
        assert len(stored) == NUMBERS
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
