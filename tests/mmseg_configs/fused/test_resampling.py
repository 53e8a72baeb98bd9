"""Operators against torch's interpolate and mmseg's windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from mmseg_configs.fused.resampling import evaluation, resize, window_starts


def interpolated(matrix: torch.Tensor, size: int, align_corners: bool = False) -> torch.Tensor:
    """[N, nodes] to [size, nodes] by torch."""
    image = matrix.T[None, :, :, None]
    return interpolate(image, size=(size, 1), mode="bilinear", align_corners=align_corners)[0, :, :, 0].T


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize(("nodes", "size"), [(32, 512), (37, 518), (1, 7), (7, 1), (50, 20), (3, 3)])
def test_resize_is_torchs(nodes: int, size: int, align_corners: bool) -> None:
    expected = interpolated(torch.eye(nodes, dtype=torch.float64), size, align_corners).numpy()
    np.testing.assert_allclose(resize(nodes, size, align_corners).matrix.toarray(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("window", "stride", "size"), [(64, 48, 200), (64, 48, 64), (64, 48, 50), (64, 64, 129)])
def test_windows_are_those_of_mmseg(window: int, stride: int, size: int) -> None:
    count = max(size - window + stride - 1, 0) // stride + 1
    ends = [min(index * stride + window, size) for index in range(count)]
    assert window_starts(window, stride, size) == tuple(max(end - window, 0) for end in ends)


def test_evaluation_is_resize_average_cut_resize() -> None:
    nodes, window, starts, total = 4, 32, (0, 20, 28), 60
    up = interpolated(torch.eye(nodes, dtype=torch.float64), window)
    summed, seen = torch.zeros(total, 3 * nodes, dtype=torch.float64), torch.zeros(total, 1)
    for index, start in enumerate(starts):
        summed[start : start + window, index * nodes : (index + 1) * nodes] += up
        seen[start : start + window] += 1
    expected = interpolated((summed / seen)[2:55], 71).numpy()
    operator = evaluation(nodes, window, starts, (2, 55), 71)
    np.testing.assert_allclose(operator.matrix.toarray(), expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    "given",
    [
        (32, 512, (0,), (0, 500), 683),
        (4, 32, (0, 20, 28), (0, 60), 71),
        (5, 3, (0,), (0, 3), 9),
        (1, 8, (0,), (0, 8), 1),
    ],
)
def test_weights_are_affine_in_each_band_and_bands_cover_every_pixel_once(given: tuple) -> None:
    operator = evaluation(*given)
    pixels = np.concatenate([np.arange(first, last + 1) for first, last in operator.bands])
    np.testing.assert_array_equal(pixels, np.arange(operator.size))
    dense = operator.matrix.toarray()
    for first, last in operator.bands:
        share = np.linspace(0, 1, last - first + 1)[:, None]
        np.testing.assert_allclose(
            dense[first : last + 1], dense[first] + share * (dense[last] - dense[first]), atol=1e-12
        )
