"""The ray caster against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from umt.data.mini.rendered.raycast import Camera, cast

AHEAD = Camera((0.0, 0.0, 0.0), yaw=0.0, pitch=0.0, width=8, height=6, focal=10.0)


def pixels(camera: Camera) -> np.ndarray:
    return camera.rays().reshape(-1, 3)


def test_a_wall_across_the_axis_has_its_distance_everywhere() -> None:
    hits = cast(np.zeros(3), pixels(AHEAD), np.array([[-9.0, -9.0, 3.5]]), np.array([[9.0, 9.0, 4.0]]))
    np.testing.assert_allclose(hits.depth, 3.5, rtol=1e-12)
    assert set(hits.axis) == {2}
    assert set(hits.box) == {0}


def test_the_floor_recedes_as_focal_times_height_over_row() -> None:
    """z = f h / v for a floor h below the camera, v pixels below the horizon."""
    hits = cast(np.zeros(3), pixels(AHEAD), np.array([[-99.0, -2.0, -99.0]]), np.array([[99.0, -1.5, 99.0]]))
    depth = hits.depth.reshape(6, 8)
    assert np.isinf(depth[:3]).all()
    np.testing.assert_allclose(depth[3:, 0], 10.0 * 1.5 / np.array([0.5, 1.5, 2.5]), rtol=1e-12)


def test_rays_have_unit_length_along_the_axis() -> None:
    camera = Camera((0, 0, 0), yaw=0.4, pitch=-0.3, width=64, height=48, focal=52.0)
    forward = np.array([np.cos(-0.3) * np.sin(0.4), np.sin(-0.3), np.cos(-0.3) * np.cos(0.4)])
    np.testing.assert_allclose(pixels(camera) @ forward, 1.0, rtol=1e-12)
    right, down = camera.rays()[0, 1] - camera.rays()[0, 0], camera.rays()[1, 0] - camera.rays()[0, 0]
    np.testing.assert_allclose([np.linalg.norm(right), np.linalg.norm(down)], 1 / 52.0, rtol=1e-10)
    assert down[1] < 0 < right[0]


def test_random_boxes_against_a_march_along_each_ray() -> None:
    """Brute force knows no planes: the first of many small steps that lies in a box."""
    rng = np.random.default_rng(5)
    low = rng.uniform((-3, -3, 1), (1, 1, 6), (12, 3))
    high = low + rng.uniform(0.4, 2.0, (12, 3))
    rays = pixels(Camera((0, 0, 0), yaw=0.1, pitch=0.05, width=16, height=12, focal=12.0))
    hits = cast(np.zeros(3), rays, low, high)
    step = 2e-3
    steps = np.arange(step, 10, step)
    for ray, depth, box in zip(rays, hits.depth, hits.box, strict=True):
        points = steps[:, None, None] * ray
        inside = ((points >= low) & (points <= high)).all(axis=2)
        if not inside.any():
            assert np.isinf(depth)
            continue
        first = inside.any(axis=1).argmax()
        assert depth == pytest.approx(steps[first], abs=step)
        assert inside[first, box] or inside[first + 1, box]


def test_behind_and_beside_is_not_seen() -> None:
    low = np.array([[-1.0, -1.0, -3.0], [50.0, -1.0, 1.0]])
    hits = cast(np.zeros(3), pixels(AHEAD), low, low + 2.0)
    assert np.isinf(hits.depth).all()
    assert set(hits.box) == {-1}


@pytest.mark.parametrize("left", [0.0, -1.0])
def test_a_ray_in_the_plane_of_a_face_misses(left: float) -> None:
    ray = np.array([[0.0, 0.0, 1.0]])
    hits = cast(np.zeros(3), ray, np.array([[left, -1.0, 2.0]]), np.array([[left + 1.0, 1.0, 3.0]]))
    assert np.isinf(hits.depth[0])
    assert hits.box[0] == -1
