"""Loading images and class maps: their values, and files that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations
from PIL import Image

from mmseg_configs.loading import LoadCheckedImage, LoadCheckedLabels
from umt.errors import UMTError


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes an image and a class map, and loads both."""

    def run(labels: np.ndarray, rgb: np.ndarray | None = None) -> dict[str, Any]:
        image, annotation = tmp_path / "a.png", tmp_path / "a_labels.png"
        Image.fromarray(np.zeros((2, 3, 3), np.uint8) if rgb is None else rgb).save(image)
        Image.fromarray(labels).save(annotation)
        results = {"img_path": str(image), "seg_map_path": str(annotation), "seg_fields": []}
        return LoadCheckedLabels().transform(LoadCheckedImage().transform(results))

    return run


def test_zero_becomes_ignored_and_classes_count_from_zero(load: Callable[..., dict[str, Any]]) -> None:
    results = load(np.array([[0, 1, 2], [149, 150, 0]], np.uint8))
    assert results["gt_seg_map"].tolist() == [[255, 0, 1], [148, 149, 255]]
    theirs = LoadAnnotations().transform({**results, "seg_fields": [], "reduce_zero_label": True})
    np.testing.assert_array_equal(results["gt_seg_map"], theirs["gt_seg_map"])


def test_images_are_bgr(load: Callable[..., dict[str, Any]]) -> None:
    rgb = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    results = load(np.ones((2, 3), np.uint8), rgb)
    np.testing.assert_array_equal(results["img"], rgb[..., ::-1])
    assert results["img_shape"] == results["ori_shape"] == (2, 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.full((2, 3), 151, np.uint8), r"a_labels\.png: label 151, expected 0\.\.150"),
        (np.full((2, 3), 300, np.uint16), r"a_labels\.png: label 300"),
        (np.ones((3, 2), np.uint8), r"a_labels\.png: shape 3x2, its image a\.png has 2x3"),
        (np.ones((2, 3, 3), np.uint8), r"a_labels\.png: shape 2x3x3"),
    ],
)
def test_wrong_annotations_are_named(load: Callable[..., dict[str, Any]], labels: np.ndarray, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        load(labels)


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(UMTError, match=r"cut\.jpg"):
        LoadCheckedImage().transform({"img_path": str(path)})


def test_genuine_annotations_keep_within_the_classes(real_data: Path) -> None:
    root = real_data / "ade20k_genuine" / "ADEChallengeData2016"
    images = sorted(root.glob("images/*/*.jpg"))
    assert len(images) == 6
    for image in images:
        annotation = root / "annotations" / image.parent.name / f"{image.stem}.png"
        results = {"img_path": str(image), "seg_map_path": str(annotation), "seg_fields": []}
        labels = LoadCheckedLabels().transform(LoadCheckedImage().transform(results))["gt_seg_map"]
        assert len(np.unique(labels)) > 3
        assert set(np.unique(labels)) <= {*range(150), 255}
