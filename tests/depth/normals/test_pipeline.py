"""Transforms of images with normals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from depth.normals.pipeline import (
    CentreCrop,
    LoadDerivedNormals,
    LoadPublishedNormals,
    PackNormals,
    RandomJitter,
    RandomSquare,
)
from depth.normals.schedule import QuarterCosineLR
from umt.data.normals import save_normals


def test_normals_are_derived_at_another_size_with_its_camera(tmp_path: Path) -> None:
    """A slanted plane has its normal at any size of the depth map."""
    focal, centre, unit = (50.0, 50.0), (39.5, 29.5), np.array([0.3, -0.2, -0.9])
    unit /= np.linalg.norm(unit)
    x, y = np.meshgrid((np.arange(80) - centre[0]) / focal[0], (np.arange(60) - centre[1]) / focal[1])
    depth = 4 * unit[2] / (x * unit[0] + y * unit[1] + unit[2])
    Image.fromarray(np.round(depth * 1000).astype(np.uint16)).save(tmp_path / "depth.png")
    loaded = {
        "img_path": "image.png", "depth_map_path": str(tmp_path / "depth.png"), "ori_shape": (60, 80), "seg_fields": [],
    }  # fmt: skip
    for size in ((60, 80), (30, 40), (20, 80)):
        transform = LoadDerivedNormals((60, 80), size, focal, centre, 2, 0.02, 1e-3, 10.0)
        normals = transform.transform(dict(loaded))["normals"]
        assert normals.shape == (*size, 3)
        # nearest pixels lie up to half a pixel off the centre of the new one
        np.testing.assert_allclose(normals[8:-8, 8:-8], np.broadcast_to(unit, normals[8:-8, 8:-8].shape), atol=0.02)


def test_published_normals_are_the_nearest_pixels_of_the_file(tmp_path: Path) -> None:
    normals = np.random.default_rng(0).normal(size=(4, 6, 3))
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    save_normals(normals, tmp_path / "a.png")
    loaded = {"depth_map_path": str(tmp_path / "a.png"), "ori_shape": (4, 6)}
    same = LoadPublishedNormals((4, 6)).transform(loaded)["normals"]
    np.testing.assert_allclose(same, normals, atol=2e-5)
    np.testing.assert_array_equal(LoadPublishedNormals((2, 3)).transform(loaded)["normals"], same[1::2, 1::2])


def test_the_middle_is_cut_out_of_both() -> None:
    rows = np.arange(12, dtype=np.float32)[:, None, None] * np.ones((1, 16, 3), np.float32)
    results = {"img": np.tile(np.arange(12, dtype=np.uint8)[:, None, None], (1, 16, 3)), "normals": rows}
    cut = CentreCrop((12, 16), (8, 8)).transform(results)
    assert cut["img"].shape == cut["normals"].shape == (8, 8, 3)
    np.testing.assert_array_equal(cut["img"], cut["normals"])
    assert cut["img"][0, 0, 0] == 2


def test_squares_fit_each_other_and_have_their_share() -> None:
    torch.manual_seed(0)
    y, x = np.mgrid[:48, :48].astype(np.float32)
    normals = np.stack([x, y, np.ones_like(x)], axis=-1)
    for _ in range(20):
        result = RandomSquare(1.0, (0.5, 1.0)).transform({"img": normals.astype(np.uint8), "normals": normals})
        np.testing.assert_array_equal(result["img"], result["normals"])
        sides = np.ptp(result["normals"][..., :2], axis=(0, 1)) + 1
        assert ((sides >= 33) & (sides <= 48)).all()
        assert sides[0] == pytest.approx(sides[1], abs=1)
    untouched = {"img": normals.astype(np.uint8), "normals": normals}
    assert RandomSquare(0.0, (0.5, 1.0)).transform(untouched) is untouched


def test_colours_change_and_normals_do_not() -> None:
    torch.manual_seed(0)
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    changed = RandomJitter(1.0, 0.2).transform({"img": image, "normals": None})["img"]
    assert changed.dtype == np.uint8
    assert 1 < np.abs(changed.astype(float) - image).mean() < 90
    assert RandomJitter(1.0, 0.0).transform({"img": image})["img"] == pytest.approx(image, abs=1)


def test_packed_normals_are_channels_first() -> None:
    image, normals = np.zeros((4, 6, 3), np.uint8), np.ones((4, 6, 3), np.float32)
    packed = PackNormals().transform(
        {"img": image, "normals": normals, "img_path": "a", "ori_shape": (4, 6), "img_shape": (4, 6)}
    )
    assert packed["inputs"].shape == packed["data_samples"].gt_depth_map.data.shape == (3, 4, 6)


def test_the_schedule_is_the_published_formula() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2.0)
    schedule = QuarterCosineLR(optimizer, end=100, warmup=15, floor=0.01)
    for step in range(100):
        share = step / 15 if step <= 15 else np.cos(0.5 * (step - 15) / 85 * np.pi)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(2 * (0.99 * share + 0.01), rel=1e-12)
        schedule.step()
