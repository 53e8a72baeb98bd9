"""Worker processes for data loading."""

from __future__ import annotations

import os

import pytest

from umt.data.loaders import FEW_IMAGES, worker_count, worker_errors
from umt.errors import UMTError


@pytest.mark.parametrize(("cpus", "images", "workers"), [(4, FEW_IMAGES, 4), (64, FEW_IMAGES, 8), (64, 100, 0)])
def test_workers_follow_images_and_cores(cpus: int, images: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cpus)
    assert worker_count(images) == workers


def test_an_error_without_a_trace_is_left_as_it_is() -> None:
    with pytest.raises(UMTError, match=r"^a\.png: broken$"), worker_errors():
        raise UMTError("a.png: broken")
