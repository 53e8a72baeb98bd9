"""Threads and worker processes for data loading."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from umt.data.loaders import (
    FEW_IMAGES,
    PREFETCH_BATCHES,
    decoded_batches,
    decoding_threads,
    worker_count,
    worker_errors,
)
from umt.errors import UMTError


@pytest.fixture
def cores(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Gives this process so many cores, of a machine with 64."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    return lambda count: monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(count)))


@pytest.mark.parametrize(("usable", "images", "workers"), [(4, FEW_IMAGES, 4), (64, FEW_IMAGES, 16), (64, 100, 0)])
def test_workers_follow_images_and_the_cores_that_may_be_used(
    cores: Callable[[int], None], usable: int, images: int, workers: int
) -> None:
    cores(usable)
    assert worker_count(images) == workers


def test_the_cap_is_a_variable(cores: Callable[[int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    cores(32)
    for cap, workers in (("24", 24), ("3", 3), ("99", 32)):
        monkeypatch.setenv("UMT_LOADERS", cap)
        assert worker_count(FEW_IMAGES) == decoding_threads(torch.device("cuda")) == workers


@pytest.mark.parametrize("cap", ["0", "-1", "many", "", "1.5"])
def test_a_cap_that_is_no_number_is_an_error(cap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UMT_LOADERS", cap)
    with pytest.raises(UMTError, match=f"^UMT_LOADERS={cap}: .* take a whole number from 1 on$"):
        worker_count(FEW_IMAGES)


def test_a_machine_without_affinity_counts_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert worker_count(FEW_IMAGES) == 6


def test_an_error_without_a_trace_is_left_as_it_is() -> None:
    with pytest.raises(UMTError, match=r"^a\.png: broken$"), worker_errors():
        raise UMTError("a.png: broken")


class Numbers(Dataset[tuple[Tensor, int]]):
    """Its items come the later the earlier they are in their batch of four, and it remembers who was asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.asked.append(index)
        if index == 10:
            raise UMTError("10.png: broken")
        time.sleep(0.002 * (4 - index % 4))
        return torch.tensor([index]), 0


@pytest.mark.parametrize("threads", [1, 5])
@pytest.mark.parametrize("start", [0, 4])
def test_threads_keep_the_order(threads: int, start: int) -> None:
    batches = decoded_batches(Numbers(), 4, threads, start)
    found = [next(batches).flatten().tolist() for _ in range(2 - start // 4)]
    assert found == [[0, 1, 2, 3], [4, 5, 6, 7]][start // 4 :]
    with pytest.raises(UMTError, match=r"^10\.png: broken$"):
        next(batches)


def test_no_more_is_decoded_ahead_than_a_few_batches() -> None:
    numbers = Numbers()
    batches = decoded_batches(numbers, 1, 5)
    next(batches)
    time.sleep(0.05)
    assert len(numbers.asked) == 1 + PREFETCH_BATCHES
    batches.close()  # type: ignore[attr-defined]
    assert len(numbers.asked) == 1 + PREFETCH_BATCHES


def test_decoding_has_the_threads_of_the_model_on_a_cpu_and_the_cores_beside_a_gpu(
    cores: Callable[[int], None],
) -> None:
    cores(12)
    assert decoding_threads(torch.device("cpu")) == torch.get_num_threads()
    assert decoding_threads(torch.device("cuda")) == 12
