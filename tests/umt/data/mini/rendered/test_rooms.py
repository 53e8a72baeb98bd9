"""Rendered rooms: exact, consistent and repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from umt.data.mini.photos import NAMES
from umt.data.mini.rendered import furniture
from umt.data.mini.rendered.furniture import FLOOR, FURNITURE, PANELS, SURFACES, WALL
from umt.data.mini.rendered.raycast import Camera
from umt.data.mini.rendered.rooms import Box, Scene, render, render_room


def plain(low: tuple[float, float, float], high: tuple[float, float, float], label: int) -> Box:
    return Box(np.array(low), np.array(high), label, texture=0, metres=1.0, tint=np.ones(3))


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    first, again, other = render_room(3, 80, 60), render_room(3, 80, 60), render_room(4, 80, 60)
    for field in ("rgb", "labels", "depth"):
        assert np.array_equal(getattr(first, field), getattr(again, field))
        assert not np.array_equal(getattr(first, field), getattr(other, field))


@pytest.mark.parametrize("seed", range(6))
def test_a_room_is_closed_and_of_human_size(seed: int) -> None:
    view = render_room(seed, 64, 48)
    assert view.rgb.shape == (48, 64, 3)
    assert view.rgb.dtype == view.labels.dtype == np.uint8
    assert 0.1 < view.depth.min() < view.depth.max() < 10
    assert {WALL, FLOOR} <= set(np.unique(view.labels)) <= set(SURFACES)


def test_the_nearer_thing_has_the_label_and_the_depth() -> None:
    """A box of half a metre 2 m ahead, before a wall at 4 m: similar triangles give its width in pixels."""
    boxes = [plain((-5, -5, 4), (5, 5, 5), WALL), plain((-0.25, -0.25, 2), (0.25, 0.25, 2.5), furniture.BOX)]
    camera = Camera((0, 0, 0), yaw=0, pitch=0, width=40, height=30, focal=40)
    view = render(Scene(boxes, lamp=np.array([0, 1.0, 0])), camera, np.random.default_rng(0))
    box = view.labels == furniture.BOX
    assert box.sum() == (40 * 0.5 / 2) ** 2
    np.testing.assert_allclose(view.depth[box], 2, rtol=1e-12)
    np.testing.assert_allclose(view.depth[~box], 4, rtol=1e-12)


def test_labels_and_depth_of_one_room_at_two_sizes_agree() -> None:
    """An odd multiple of the size has the small image's pixel centres among its own."""
    small, large = render_room(7, 40, 30), render_room(7, 120, 90)
    assert np.array_equal(large.labels[1::3, 1::3], small.labels)
    np.testing.assert_allclose(large.depth[1::3, 1::3], small.depth, rtol=1e-9)


def test_everything_can_be_covered() -> None:
    assert {piece.label for piece in (*FURNITURE, *PANELS)} <= SURFACES.keys()
    assert {photo for surface in SURFACES.values() for photo in surface.photos} <= set(NAMES)


def test_ids_are_those_of_ade20k(real_data: Path) -> None:
    path = real_data / "ade20k_genuine" / "ADEChallengeData2016" / "objectInfo150.txt"
    rows = [line.split("\t") for line in path.read_text().splitlines()[1:]]
    names = {int(row[0]): row[-1].split(",")[0].strip() for row in rows}
    constants = {"WINDOW": "windowpane"}
    for label in SURFACES.keys() - {furniture.OTHER_FURNITURE}:
        constant = next(name for name, value in vars(furniture).items() if value == label and name.isupper())
        assert names[label] == constants.get(constant, constant.lower())
