"""Depth metrics against an independent NumPy computation and mmseg's DepthMetric."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmseg.evaluation import DepthMetric

from depth.metric import NAMES, PerImageDepth
from umt.errors import UMTError

THEIRS = {"absrel": "abs_rel", "delta1": "d1", "delta2": "d2", "delta3": "d3"}  # mmseg's names that differ
OPTIONS = {"min_depth_eval": 1e-3, "max_depth_eval": 10.0, "crop_type": "nyu_crop"}


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truth [3, 480, 640] in metres; a fifth of the truth is missing."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0.5, 11.0, (3, 480, 640))
    predicted = np.clip(
        truth * rng.uniform(0.6, 1.7, truth.shape) + np.array([0.0, 0.5, -0.3])[:, None, None], 0.01, 10
    )
    return predicted, np.where(rng.random(truth.shape) < 0.2, 0.0, truth)


def samples(predicted: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "pred_depth_map": {"data": torch.from_numpy(one)[None]},
            "gt_depth_map": {"data": torch.from_numpy(other)[None]},
            "img_path": f"{index}.jpg",
        }
        for index, (one, other) in enumerate(zip(predicted, truth, strict=True))
    ]


def evaluate(metric: DepthMetric, predicted: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    metric.process({}, samples(predicted, truth))
    return metric.compute_metrics(metric.results)


def by_hand(predicted: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Compute the metrics of an image from their definitions."""
    predicted, truth = predicted[45:471, 41:601], truth[45:471, 41:601]
    valid = (truth > 1e-3) & (truth < 10)
    p, t = predicted[valid], truth[valid]
    ratio, d = np.maximum(p / t, t / p), np.log(p) - np.log(t)
    return {
        "rmse": np.sqrt(((p - t) ** 2).mean()),
        "absrel": (np.abs(p - t) / t).mean(),
        **{f"delta{power}": (ratio < 1.25**power).mean() for power in (1, 2, 3)},
        "log10": np.abs(np.log10(p) - np.log10(t)).mean(),
        "silog": np.sqrt((d**2).mean() - 0.5 * d.mean() ** 2),
        "squares": ((p - t) ** 2).sum(),
        "pixels": valid.sum(),
    }


def test_equal_to_numpy(maps: tuple[np.ndarray, np.ndarray]) -> None:
    values = evaluate(PerImageDepth(**OPTIONS), *maps)
    images = [by_hand(one, other) for one, other in zip(*maps, strict=True)]
    for name in NAMES:
        expected = [image[name] for image in images]
        assert values["images"][name] == pytest.approx(expected, rel=1e-6)
        assert values[name] == pytest.approx(np.mean(expected), rel=1e-6)
    pooled = np.sqrt(sum(image["squares"] for image in images) / sum(image["pixels"] for image in images))
    assert values["rmse_pooled"] == pytest.approx(pooled, rel=1e-6)
    assert abs(values["rmse_pooled"] - values["rmse"]) > 1e-3  # not the same number


def test_equal_to_mmseg(maps: tuple[np.ndarray, np.ndarray]) -> None:
    ours = evaluate(PerImageDepth(**OPTIONS), *maps)
    theirs = evaluate(DepthMetric(prefix="depth", **OPTIONS), *maps)
    for name in NAMES:
        assert ours[name] == pytest.approx(theirs[THEIRS.get(name, name)], rel=1e-6)


def test_values_that_leave_the_device_together_are_the_same(maps: tuple[np.ndarray, np.ndarray]) -> None:
    expected = evaluate(PerImageDepth(pictured=["1.jpg"], **OPTIONS), *maps)
    metric = PerImageDepth(pictured=["1.jpg"], **OPTIONS)
    metric.process({}, samples(*maps))
    values = {name.removeprefix("depth/"): value for name, value in metric.evaluate(len(maps[0])).items()}
    pictures, expected_pictures = values.pop("pictures"), expected.pop("pictures")
    assert values == expected
    assert pictures.keys() == expected_pictures.keys() == {"1.jpg"}
    np.testing.assert_array_equal(pictures["1.jpg"], expected_pictures["1.jpg"])


def test_a_prediction_that_is_no_number_shows(maps: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = maps[0].copy(), maps[1]
    predicted[0, 0, 0] = predicted[2, 0, 0] = np.nan  # outside the crop
    row, column = np.argwhere(truth[2, 45:471, 41:601] > 1)[0] + (45, 41)
    assert truth[2, row, column] < 10
    predicted[2, row, column] = np.nan
    values = evaluate(PerImageDepth(**OPTIONS), predicted, truth)["images"]
    assert np.isnan(values["rmse"]).tolist() == [False, False, True]
    assert values["rmse"][:2] == evaluate(PerImageDepth(**OPTIONS), *maps)["images"]["rmse"][:2]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        (np.zeros((1, 480, 640)), r"0\.jpg: no valid depth where it is evaluated"),
        (np.ones((1, 240, 320)), r"0\.jpg: 320x240 pixels, the Eigen crop needs 640x480"),
    ],
)
def test_truth_that_gives_nothing_to_measure(truth: np.ndarray, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        evaluate(PerImageDepth(**OPTIONS), np.ones_like(truth), truth)


def test_the_first_image_without_depth_is_named(maps: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = maps[0], maps[1].copy()
    truth[1:] = 0
    with pytest.raises(UMTError, match=r"^1\.jpg: no valid depth"):
        evaluate(PerImageDepth(**OPTIONS), predicted, truth)


def test_maps_of_the_pictured_images_are_kept(maps: tuple[np.ndarray, np.ndarray]) -> None:
    kept = evaluate(PerImageDepth(pictured=["2.jpg"], **OPTIONS), *maps)["pictures"]
    assert kept.keys() == {"2.jpg"}
    assert kept["2.jpg"].dtype == np.float32
    np.testing.assert_allclose(kept["2.jpg"], [maps[0][2], maps[1][2]], rtol=1e-6)
