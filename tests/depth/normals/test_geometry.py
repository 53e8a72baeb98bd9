"""Normals of planes, spheres and rendered rooms against their own equations."""

from __future__ import annotations

import numpy as np
import pytest

from depth.normals.geometry import derived_normals
from umt.data.mini.rendered.rooms import render_room

FOCAL, CENTRE = (60.0, 55.0), (31.0, 22.5)
HEIGHT, WIDTH = 48, 64


def rays() -> np.ndarray:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([(x - CENTRE[0]) / FOCAL[0], (y - CENTRE[1]) / FOCAL[1], np.ones_like(x, float)], axis=-1)


@pytest.mark.parametrize("normal", [(0, 0, -1), (0.6, 0, -0.8), (0.2, -0.5, -0.7), (0, 0.95, -0.3)])
@pytest.mark.parametrize("radius", [1, 4])
def test_a_plane_has_its_normal_everywhere(normal: tuple[float, ...], radius: int) -> None:
    unit = np.array(normal) / np.linalg.norm(normal)
    depth = 2 * unit[2] / (rays() @ unit)  # of the plane at two metres along the axis
    depth[depth <= 0] = 0  # behind the camera
    derived = derived_normals(depth, FOCAL, CENTRE, radius, 1e-6)
    found = np.abs(derived).max(axis=-1) > 0
    assert found[radius:-radius, radius:-radius].mean() > 0.5
    np.testing.assert_allclose(derived[found], np.broadcast_to(unit, derived[found].shape), atol=1e-9)
    assert not found[:radius].any()
    assert not found[:, -radius:].any()


def test_each_normal_is_the_least_squares_plane_of_its_square() -> None:
    rng = np.random.default_rng(0)
    depth = 2 + 0.1 * rng.uniform(size=(HEIGHT, WIDTH))
    derived = derived_normals(depth, FOCAL, CENTRE, 2, 1.0)
    directions = rays()
    for y, x in [(2, 2), (20, 33), (45, 61)]:
        window = np.s_[y - 2 : y + 3, x - 2 : x + 3]
        plane, *_ = np.linalg.lstsq(directions[window].reshape(-1, 3), 1 / depth[window].ravel(), rcond=None)
        np.testing.assert_allclose(derived[y, x], -plane / np.linalg.norm(plane), atol=1e-9)


def test_holes_and_edges_have_none() -> None:
    depth = np.full((HEIGHT, WIDTH), 2.0)
    depth[:, 40:] = 3.0
    depth[10, 10] = 0
    found = np.abs(derived_normals(depth, FOCAL, CENTRE, 2, 0.02)).max(axis=-1) > 0
    assert not found[8:13, 8:13].any()
    assert found[13, 13]
    assert found[13, 7]
    assert not found[20, 38:42].any()
    assert found[20, 37]
    assert found[20, 42]
    assert not derived_normals(np.zeros((HEIGHT, WIDTH)), FOCAL, CENTRE, 2, 0.02).any()


def test_rooms_have_normals_of_three_directions() -> None:
    """Floor, ceiling, walls and boxes are square to each other: all angles between faces are 0 or 90 degrees."""
    view = render_room(3, 160, 120)
    focal = 518.86 / 640 * 160
    derived = derived_normals(view.depth, (focal, focal), (79.5, 59.5), 1, 1e-4).reshape(-1, 3)
    normals = derived[np.abs(derived).max(axis=1) > 0]
    assert len(normals) > 0.6 * len(derived)
    x, y = np.meshgrid((np.arange(160) - 79.5) / focal, (np.arange(120) - 59.5) / focal)
    towards = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)[np.abs(derived).max(axis=1) > 0]
    assert ((normals * towards).sum(axis=1) < 0).all()
    some = normals[:: len(normals) // 200]
    angles = np.degrees(np.arccos(np.clip(np.abs(some @ some.T), 0, 1)))
    assert (np.minimum(angles, 90 - angles) < 3).mean() > 0.95
