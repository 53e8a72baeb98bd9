"""Angles of normals against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth.normals.metric import NAMES, PerImageNormals, angle_values
from umt.errors import DataError


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3, 9, 11))
    truth /= np.linalg.norm(truth, axis=0)
    directions = 5 * (truth + 0.3 * rng.normal(size=truth.shape))
    truth[:, 2:4] = 0
    return directions, truth


def expected(directions: np.ndarray, truth: np.ndarray) -> list[float]:
    valid = truth.any(axis=0)
    cosine = (directions * truth).sum(axis=0) / np.linalg.norm(directions, axis=0)
    degrees = np.degrees(np.arccos(np.clip(cosine[valid], -1, 1)))
    median = np.sort(degrees)[(len(degrees) - 1) // 2]
    shares = [100 * (degrees < bound).mean() for bound in (11.25, 22.5, 30)]
    return [np.sqrt((degrees**2).mean()), degrees.mean(), median, *shares]


def test_values_of_an_image(pair: tuple[np.ndarray, np.ndarray]) -> None:
    measured = angle_values(*map(torch.from_numpy, pair))
    np.testing.assert_allclose(measured, expected(*pair), rtol=1e-10)


def test_metrics_are_means_over_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    metric = PerImageNormals(pictured=["a.png"])
    tensors = [torch.from_numpy(part) for part in pair]
    for path, truth in (("a.png", tensors[1]), ("b.png", tensors[1].flip(1))):
        certain = torch.cat([tensors[0], torch.ones(1, 9, 11)])
        sample = {"gt_depth_map": {"data": truth}, "pred_depth_map": {"data": certain}, "img_path": path}
        metric.process(None, [sample])
    values = metric.compute_metrics(metric.results)
    rows = [expected(pair[0], truth) for truth in (pair[1], pair[1][:, ::-1])]
    for index, name in enumerate(NAMES):
        assert values[name] == pytest.approx(np.mean([row[index] for row in rows]))
        assert values["images"][name] == pytest.approx([row[index] for row in rows])
    assert list(values["pictures"]) == ["a.png"]
    assert values["pictures"]["a.png"].shape == (2, 3, 9, 11)


def test_an_image_without_normals_is_named(pair: tuple[np.ndarray, np.ndarray]) -> None:
    metric = PerImageNormals()
    empty = {"gt_depth_map": {"data": torch.zeros(3, 4, 4)}, "pred_depth_map": {"data": torch.ones(4, 4, 4)}}
    metric.process(None, [{**empty, "img_path": "c.png"}])
    with pytest.raises(DataError, match=r"c\.png: no normal where it is evaluated"):
        metric.compute_metrics(metric.results)
