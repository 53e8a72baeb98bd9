"""Mosaics: each view gets its own part of the picture's map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from umt.backbones.contract import Backbone, Features, Preprocess
from umt.distill.recipe import TeacherSpec
from umt.distill.teachers.mosaic import tiled, untiled
from umt.distill.teachers.teacher import Teacher
from umt.errors import UMTError

PATCH = 8


class Patches(Backbone):
    """A backbone whose cells see nothing beside their own patch."""

    def __init__(self) -> None:
        super().__init__(Preprocess(size_multiple=PATCH), channels=(5,), strides=(PATCH,), dim=5)
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 5, PATCH, PATCH)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        fmap = self.embed(images)
        return Features(fmap.mean(dim=(2, 3)), fmap.flatten(2)[..., 0], [fmap])


Make = Callable[..., Teacher]


@pytest.fixture
def teacher() -> Make:
    def make(objective: str = "dino", **fields: Any) -> Teacher:
        return Teacher(TeacherSpec("t", objective, "own", **fields), Patches(), 32, (4, 4))

    return make


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_every_image_comes_back_out_of_its_picture(count: int) -> None:
    images = torch.rand(count, 3, 4, 6)
    pictures = tiled(images, 2)
    assert pictures.shape == (-(-count // 4), 3, 8, 12)
    assert torch.equal(pictures[0, :, :4, 6:], images[1 % count])
    assert torch.equal(untiled(pictures, 2, count), images)


@pytest.mark.parametrize("count", [4, 3])
def test_targets_are_those_of_each_view_alone(teacher: Make, count: int) -> None:
    """If cells see nothing of their neighbours, a mosaic changes nothing but the class token."""
    images = torch.rand(count, 3, 32, 32)
    single, mosaic = teacher(), teacher(mosaic=2)
    assert (single.size, mosaic.size) == (32, 64)
    torch.testing.assert_close(mosaic(images).features, single(images).features)
    torch.testing.assert_close(mosaic(images).summary, single(images).features.mean(dim=(2, 3)))
    assert mosaic.widths() == (5, 5)


def test_views_shrink_into_a_picture_of_the_size_that_is_asked_for(teacher: Make) -> None:
    images = torch.rand(4, 3, 32, 32)
    torch.testing.assert_close(
        teacher(mosaic=2, size=32)(images).features, teacher(size=16)(images).features, atol=1e-6, rtol=1e-5
    )
    assert teacher(mosaic=2, size="grid").size == 64


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mosaic": 0}, "mosaic is 0; take 1 or more views in each direction"),
        ({"mosaic": 2, "objective": "classification"}, "for the objective classification; take mae or dino"),
        ({"mosaic": 3, "size": 64}, "size 64 is not a multiple of mosaic 3 x 8 pixels of a cell; nearest 72"),
    ],
)
def test_a_mosaic_that_cannot_be_is_named(fields: dict[str, object], message: str, teacher: Make) -> None:
    with pytest.raises(UMTError, match=rf"teacher 't': .*{message}"):
        teacher(**fields)


def test_a_map_that_is_not_there_is_named_when_it_is_asked_for(teacher: Make) -> None:
    """Checks of mosaics leave a teacher alone that has none."""
    with pytest.raises(UMTError, match="-3"):
        teacher(map=-3)(torch.rand(1, 3, 32, 32))
