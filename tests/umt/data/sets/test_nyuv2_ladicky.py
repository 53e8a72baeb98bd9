"""NYUv2's labelled pairs with published normals: the layout and the embedded version."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from depth.normals.geometry import derived_normals
from umt.data.checks.items import validate
from umt.data.mini.rendered.rooms import FOCAL_SHARE, render_room
from umt.data.registry import find_dataset
from umt.data.sets.nyuv2_ladicky import flat_normals, write_mini
from umt.errors import DataError


def test_rendered_normals_are_those_of_fitted_planes() -> None:
    depth = render_room(90_000, 160, 120).depth
    focal = FOCAL_SHARE * 160
    exact = flat_normals(depth, focal)
    fitted = derived_normals(depth, (focal, focal), (79.5, 59.5), 1, 1e-4)
    both = exact.any(axis=-1) & fitted.any(axis=-1)
    assert both.mean() > 0.7
    np.testing.assert_allclose(exact[both], fitted[both], atol=1e-6)


def test_damage_is_named(tmp_path: Path) -> None:
    write_mini(tmp_path / "nyuv2_ladicky", (1, 1))
    validate(find_dataset("nyuv2_ladicky", tmp_path))
    target = tmp_path / "nyuv2_ladicky/annotations/test/room_0000.png"
    Image.open(target).crop((0, 0, 320, 240)).save(target)
    with pytest.raises(DataError, match=r"room_0000\.png: shape 240x320, expected 16-bit normals of 720x320"):
        validate(find_dataset("nyuv2_ladicky", tmp_path))
