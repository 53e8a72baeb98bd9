"""The panel of a prediction."""

from __future__ import annotations

import numpy as np

from depth.panel import NOT_MEASURED, TILES, depth_panel
from umt.panels import Panel


def tiles(panel: Panel) -> dict[str, np.ndarray]:
    return dict(zip(TILES, np.split(panel.pixels.astype(int), len(TILES), axis=1), strict=True))


def test_unmeasured_truth_is_grey_in_truth_and_error_only() -> None:
    truth = np.full((48, 64), 3.0)
    truth[:24] = 0.0
    image, prediction = np.full((48, 64, 3), 255, np.uint8), np.full((48, 64), 3.5)
    drawn = depth_panel(image, prediction, truth)
    assert drawn.pixels.dtype == np.uint8
    grey = {name: (tile == NOT_MEASURED).all(axis=2) for name, tile in tiles(drawn).items()}
    for name, share in {"image": 0.0, "truth": 0.5, "prediction": 0.0, "error": 0.5}.items():
        assert grey[name].mean() == share, name
        assert not grey[name][24:].any(), name


def test_a_perfect_prediction_looks_like_the_truth_and_has_no_error() -> None:
    truth = np.tile(np.linspace(1.0, 8.0, 64), (48, 1))
    image = np.zeros((48, 64, 3), np.uint8)
    perfect, wrong = (tiles(depth_panel(image, depth, truth)) for depth in (truth, truth[:, ::-1]))
    np.testing.assert_array_equal(perfect["prediction"], perfect["truth"])
    assert len(np.unique(perfect["error"].reshape(-1, 3), axis=0)) == 1
    assert len(np.unique(wrong["error"].reshape(-1, 3), axis=0)) > 20


def test_all_predictions_of_an_image_share_the_colours_that_the_legend_names() -> None:
    truth = np.full((8, 8), 2.0)
    truth[0] = 4.0
    image = np.zeros((8, 8, 3), np.uint8)
    near, far = (depth_panel(image, np.full((8, 8), depth), truth) for depth in (2.0, 40.0))
    assert near.legend == far.legend
    assert list(near.legend) == ["0.0 m", "1.0 m", "2.0 m", "3.0 m", "4.0 m", "not measured"]
    assert "#{:02x}{:02x}{:02x}".format(*tiles(near)["prediction"][0, 0]) == near.legend["2.0 m"]
    assert "#{:02x}{:02x}{:02x}".format(*tiles(far)["prediction"][0, 0]) == far.legend["4.0 m"]


def test_an_image_without_measured_depth_is_drawn() -> None:
    nothing = np.zeros((8, 8))
    assert depth_panel(np.zeros((8, 8, 3), np.uint8), nothing, nothing).pixels.shape == (8, 32, 3)
