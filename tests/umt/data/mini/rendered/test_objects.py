"""Rendered objects: corners and depth against each other."""

from __future__ import annotations

import numpy as np
import pytest

from umt.data.mini.rendered.objects import OBJECT, SHAPES, camera_around, object_scene, on_object, render_object


@pytest.mark.parametrize("shape", SHAPES)
def test_corners_are_hidden_behind_the_surface_of_their_pixel_alone(shape: str) -> None:
    rng = np.random.default_rng(1)
    scene = object_scene(SHAPES[shape], rng)
    seen = render_object(scene, camera_around(scene, 0.4, 0.3, 320, 240), rng)
    projected = seen.camera.project(seen.corners)
    assert 6 <= seen.visible.sum() < len(seen.visible), "some corners are behind the object"
    for column, row, depth in projected[seen.visible]:
        window = seen.view.depth[max(0, int(row) - 2) : int(row) + 3, max(0, int(column) - 2) : int(column) + 3]
        assert window.max() > depth - 0.03, "a visible corner lies on the edge of a surface, never behind one alone"
    inside = (projected[:, :2] >= 0).all(axis=1) & (projected[:, 0] < 320) & (projected[:, 1] < 240)
    hidden = projected[~seen.visible & inside]
    assert all(seen.view.depth[int(row), int(column)] < depth + 0.03 for column, row, depth in hidden)


def test_the_object_alone_has_depth() -> None:
    rng = np.random.default_rng(2)
    scene = object_scene(SHAPES["chair"], rng)
    view = on_object(render_object(scene, camera_around(scene, 0.0, 0.3, 64, 48), rng).view)
    np.testing.assert_array_equal(view.depth > 0, view.labels == OBJECT)
    assert 0 < (view.depth > 0).mean() < 0.5
