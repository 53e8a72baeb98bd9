"""Contents and colours of the panel of a segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from umt.panels.segmentation import (
    MAX_LEGEND_CLASSES,
    TILES,
    UNLABELLED,
    cielab,
    distinct_colours,
    largest,
    paint,
    segmentation_panel,
)

NAMES = [f"class {index}" for index in range(20)]


def test_prediction_and_truth_are_in_the_colours_that_the_legend_names() -> None:
    image = np.full((60, 80, 3), 9, np.uint8)
    prediction, truth = np.full((60, 80), 3), np.full((60, 80), 7)
    panel = segmentation_panel(image, prediction, truth, NAMES)
    assert panel.pixels.dtype == np.uint8
    photo, true, predicted = np.split(panel.pixels, len(TILES), axis=1)
    assert (photo == 9).all()
    assert (true == distinct_colours(20)[7]).all()
    assert (predicted == distinct_colours(20)[3]).all()
    assert list(panel.legend) == ["class 3", "class 7"]
    assert panel.legend["class 7"] == "#{:02x}{:02x}{:02x}".format(*true[0, 0])


def test_what_is_no_class_is_black() -> None:
    painted = paint(np.array([[0, 255]]), distinct_colours(5))
    assert painted.tolist() == [[distinct_colours(5)[0].tolist(), list(UNLABELLED)]]


def test_the_legend_names_the_largest_classes_of_both() -> None:
    prediction, truth = np.array([[4, 4, 4, 255]]), np.array([[255, 2, 2, 9]])
    assert largest(prediction, truth, classes=20) == [4, 2, 9]
    assert len(largest(np.arange(20), np.arange(20), classes=20)) == MAX_LEGEND_CLASSES


@pytest.mark.parametrize(("classes", "least"), [(13, 40), (150, 13)])
def test_any_two_classes_differ_to_the_eye(classes: int, least: float) -> None:
    """A difference of 2.3 in CIELAB is just seen; 150 classes of ADE20K have to share the colours there are."""
    lab = cielab(np.concatenate([[UNLABELLED], distinct_colours(classes)]))
    away = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert away[~np.eye(len(lab), dtype=bool)].min() > least


def test_cielab_of_known_colours() -> None:
    """The values are those of scikit-image's `rgb2lab`."""
    color = pytest.importorskip("skimage.color")
    colours = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [12, 200, 90], [3, 4, 5]], np.uint8)
    np.testing.assert_allclose(cielab(colours), color.rgb2lab(colours[None] / 255)[0], atol=0.01)
