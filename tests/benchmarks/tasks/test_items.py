"""Values of single items: the interval against the binomial distribution, and against the metric that is resampled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.scores import Scores
from benchmarks.tasks.accuracy import fine_grained
from benchmarks.tasks.items import areas_of, bootstrap_interval, item_names, item_scores
from mmseg_configs.metric import ClassIoU
from umt.data.contract import METRICS
from umt.data.registry import find_dataset

RNG = np.random.default_rng(0)


def interval(predictions: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, float]:
    scores = item_scores("top1", {"predictions": predictions, "labels": labels})
    assert scores is not None
    return bootstrap_interval(scores, seed)


def of_drawn(scores: Scores | None, images: np.ndarray) -> float:
    """Compute the metric of drawn images."""
    assert scores is not None
    [value] = scores.over(np.bincount(images, minlength=len(scores.effects()))[:, None].astype(float))
    return float(value)


def test_interval_of_top1_is_binomial() -> None:
    """1.96 standard errors either side for 2000 images of which 70% are right."""
    labels = np.zeros(2000, dtype=int)
    bounds = interval((np.arange(2000) % 10 >= 7).astype(int), labels, seed=0)
    width = 196 * np.sqrt(0.7 * 0.3 / 2000)
    assert (bounds["low"], bounds["high"]) == pytest.approx((70 - width, 70 + width), abs=0.2)


def test_seed_decides() -> None:
    labels, predictions = np.arange(40) % 4, np.arange(40) % 3
    assert interval(predictions, labels, 1) == interval(predictions, labels, 1)
    assert interval(predictions, labels, 1) != interval(predictions, labels, 2)


@pytest.mark.parametrize("reported", METRICS)
def test_the_accuracy_of_drawn_images_is_the_metric(reported: str) -> None:
    labels, predictions = RNG.choice([0, 1, 4], 50), RNG.choice([0, 1, 4], 50)
    scores = item_scores("accuracy", {"predictions": predictions, "labels": labels}, reported)
    for images in (np.arange(50), RNG.integers(0, 50, 50)):
        assert of_drawn(scores, images) == pytest.approx(
            fine_grained(reported, predictions[images], labels[images])["accuracy"]
        )


def test_the_accuracy_of_episodes_is_their_mean() -> None:
    labels, predictions = RNG.choice([0, 1, 4], 50), RNG.choice([0, 1, 4], (3, 50))
    scores = item_scores("accuracy", {"hits": predictions == labels, "labels": labels}, "mean_per_class")
    expected = [fine_grained("mean_per_class", one, labels)["accuracy"] for one in predictions]
    assert of_drawn(scores, np.arange(50)) == pytest.approx(np.mean(expected))


def test_the_miou_of_drawn_images_is_the_metric() -> None:
    """Take six classes: the last one never occurs, the fifth in one image alone; 255 is ignored."""
    truth, predicted = RNG.integers(0, 4, (2, 7, 9, 9))
    truth[2, :3], truth[:, 8, 8] = 4, 255
    metric = ClassIoU(iou_metrics=["mIoU"])
    counts = [
        metric.intersect_and_union(torch.from_numpy(guess), torch.from_numpy(true), 6, 255)
        for guess, true in zip(predicted, truth, strict=True)
    ]
    areas = areas_of(metric.compute_metrics(counts)["areas"])
    scores = item_scores("miou", {"areas": areas})
    assert scores is not None
    assert len(scores.effects()) == 7
    for images in (np.arange(7), np.array([0, 0, 1, 3, 6, 6, 6]), np.array([2] * 7)):
        expected = metric.compute_metrics([counts[image] for image in images])["miou"]
        assert of_drawn(scores, images) == pytest.approx(expected)


def test_an_image_without_truth_is_an_item() -> None:
    nothing, something = np.zeros(3, dtype=np.int64), np.array([0, 5, 0])
    areas = areas_of([(something, something, something), (nothing, nothing, nothing)])
    assert areas.tolist() == [[0, 1, 5, 5, 5], [1, 0, 0, 0, 0]]


def test_the_mean_of_values_of_images_is_the_metric() -> None:
    scores = item_scores("rmse", {"rmse": np.array([1.0, 2.0, 6.0])})
    assert of_drawn(scores, np.array([0, 2, 2])) == pytest.approx(13 / 3)


def test_without_values_there_is_no_interval() -> None:
    assert item_scores("images_per_second", {}) is None
    assert item_scores("top1", {"image": np.array(["a.jpg"])}) is None


def test_names_are_paths_below_the_data_set(real_data: Path) -> None:
    dataset = find_dataset("cub", real_data / "cub10_2010_photos")
    names = item_names(dataset)
    assert [dataset.root / name for name in names] == [sample.image for sample in dataset.reported_samples]
