"""Loading depth: its values, and files that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmseg.datasets.transforms import RandomDepthMix

from depth.loading import LoadCheckedDepth
from mmseg_configs.loading import LoadCheckedImage
from umt.errors import UMTError


def test_millimetres_become_metres_and_what_is_out_of_range_invalid(
    load: Callable[[np.ndarray], dict[str, Any]],
) -> None:
    results = load(np.array([[0, 1, 2], [713, 9999, 10000]], np.uint16))
    np.testing.assert_allclose(results["gt_depth_map"], [[0, 0, 0.002], [0.713, 9.999, 0]], rtol=1e-6)
    assert results["gt_depth_map"].dtype == np.float32


def test_truth_out_of_range_stays_for_training_that_says_so(load: Callable[..., dict[str, Any]]) -> None:
    results = load(np.array([[0, 1, 2], [713, 9999, 20400]], np.uint16), far=True)
    np.testing.assert_allclose(results["gt_depth_map"], [[0, 0.001, 0.002], [0.713, 9.999, 20.4]], rtol=1e-6)
    assert results["depth_rescale_factor"] == pytest.approx(20.4 / 255)
    with pytest.raises(UMTError, match="no pixel between"):
        load(np.full((2, 3), 65535, np.uint16), far=True)


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.full((2, 3), 90, np.uint8), r"a_depth\.png: depth of 8 bit, expected a 16-bit PNG"),
        (np.zeros((2, 3), np.uint16), r"a_depth\.png: no pixel between 0\.001 and 10\.0 m"),
        (np.full((2, 3), 65535, np.uint16), r"a_depth\.png: no pixel between"),
        (np.ones((3, 3), np.uint16), r"a_depth\.png: shape 3x3, its image a\.png has 2x3"),
    ],
)
def test_wrong_depth_is_named(load: Callable[[np.ndarray], dict[str, Any]], depth: np.ndarray, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        load(depth)


def test_depth_mix_pastes_depth_as_grey_without_overflow(load: Callable[[np.ndarray], dict[str, Any]]) -> None:
    results = load(np.array([[1000, 5000, 9999], [1000, 5000, 9999]], np.uint16))
    image = RandomDepthMix(prob=1.0, mix_scale_ratio=1e9).transform(results)["img"]  # as wide a band as possible
    assert set(np.unique(image)) <= {0, 25, 127, 254}
    assert image.any()


def test_real_depth_lies_in_the_published_range(real_data: Path) -> None:
    root = real_data / "nyuv2_mini"
    image = next(iter(sorted((root / "images" / "test").iterdir())))
    results = {
        "img_path": str(image),
        "depth_map_path": str(root / "annotations" / "test" / f"{image.stem}.png"),
        "seg_fields": [],
    }
    depth = LoadCheckedDepth(1e-3, 10.0).transform(LoadCheckedImage().transform(results))["gt_depth_map"]
    assert depth.shape == (480, 640)
    assert 0.7 < depth[depth > 0].min() < depth.max() < 10.0
