"""The benchmark of tests of dense tasks does what the tests do, but for the network."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from benchmarks.perf import dense_tests
from depth.metric import PerImageDepth
from mmseg_configs.metric import ClassIoU


@pytest.mark.parametrize(
    ("make", "metric", "pixels"),
    [
        (dense_tests.ade20k_test, ClassIoU, 512 * 683),
        (dense_tests.nyuv2_test, PerImageDepth, 426 * 560),  # the Eigen crop
    ],
)
def test_the_values_of_an_image_are_kept(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[torch.device], Callable[[], None]],
    metric: type[ClassIoU | PerImageDepth],
    pixels: int,
) -> None:
    kept = []
    process = metric.process

    def watched(self: ClassIoU | PerImageDepth, *batch: object) -> None:
        process(self, *batch)
        kept.append(self.results[-1])

    monkeypatch.setattr(metric, "process", watched)
    make(torch.device("cpu"))()
    [values] = kept
    if metric is ClassIoU:
        intersection, _, predicted, true = values
        assert predicted.sum() == true.sum() == pixels
        assert (predicted > 0).sum() > 10, "many regions"
        assert 0 < intersection.sum() < pixels
    else:
        assert values["values"][-1] == pytest.approx(pixels, rel=1e-3), "pixels with a depth within the range"
        assert values["values"].isfinite().all()
