"""Rendered streets: exact, repeatable, and with the label ids of Cityscapes."""

from __future__ import annotations

import numpy as np
import pytest

from umt.data.mini.photos import NAMES
from umt.data.mini.rendered.streets import (
    BUILDING,
    EYE,
    HOOD,
    LENGTH,
    ROAD,
    ROADSIDE,
    SIDEWALK,
    SKY,
    SURFACES,
    render_street,
)
from umt.data.sets.cityscapes import IDS, VOID


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    first, again, other = render_street(3, 64, 32), render_street(3, 64, 32), render_street(4, 64, 32)
    assert np.array_equal(first.rgb, again.rgb)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.labels, other.labels)


@pytest.mark.parametrize("seed", range(6))
def test_a_street_is_closed_and_has_what_every_street_has(seed: int) -> None:
    view = render_street(seed, 96, 48)
    assert np.isfinite(view.depth).all()
    assert 0.3 < view.depth.min() < view.depth.max() < LENGTH + 1
    assert {ROAD, SIDEWALK, BUILDING, SKY} <= set(np.unique(view.labels)) <= set(SURFACES)
    rows = [np.nonzero(view.labels == label)[0].mean() for label in (SKY, ROAD)]
    assert rows[0] < rows[1], "the sky is above the road"


def test_the_road_lies_as_far_below_the_camera_as_its_depth_says() -> None:
    """A level camera that sees the road at z metres sees it focal * EYE / z pixels below the centre."""
    view = render_street(0, 256, 128)
    road = view.labels == ROAD
    column = int(road.sum(axis=0).argmax())
    (rows,) = np.nonzero(road[:, column])
    height = view.depth[rows, column][:, None] * np.stack([(rows + 0.5 - 64) / (1.1 * 256), np.ones(len(rows))], axis=1)
    pitch, drop = np.linalg.lstsq(height, np.full(len(rows), EYE), rcond=None)[0]
    np.testing.assert_allclose(height @ [pitch, drop], EYE, atol=1e-9)
    assert pitch == pytest.approx(1, abs=0.01)


def test_ids_are_those_of_cityscapes() -> None:
    assert set(SURFACES) - {HOOD} <= set(IDS.values())
    assert HOOD in VOID
    assert {kind.label for kind in ROADSIDE} <= SURFACES.keys()
    assert {photo for surface in SURFACES.values() for photo in surface.photos} <= set(NAMES)
