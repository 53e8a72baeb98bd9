"""Shares of the device's peak and of the loader: operations are counted exactly, and waiting is what a loader takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks.perf import finetune, machine
from benchmarks.perf.distilling import pictures
from benchmarks.perf.row import PerfRow, TimedBatches

CPU = torch.device("cpu")


def test_operations_are_those_of_forward_and_backward() -> None:
    """Count 2 N K M for a product, and twice as many for the gradients of both factors."""
    first, second = torch.ones(3, 5, requires_grad=True), torch.ones(5, 7, requires_grad=True)
    assert machine.count_flops(lambda: first @ second) == 2 * 3 * 5 * 7
    assert machine.count_flops(lambda: (first @ second).sum().backward()) == 3 * 2 * 3 * 5 * 7
    layer, images = torch.nn.Conv2d(2, 4, 3, padding=1), torch.ones(1, 2, 6, 6)
    assert machine.count_flops(lambda: layer(images)) == 2 * 36 * 9 * 2 * 4


def test_the_peak_is_reached_by_itself_and_by_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.SIDES, "cpu", 512)
    machine.peak_flops.cache_clear()
    side = 512
    seconds = 2 * side**3 / machine.peak_flops(CPU, "fp32")
    first = torch.ones(side, side)
    assert machine.peak_share(lambda: first @ first, seconds, CPU, "fp32") == pytest.approx(1)
    assert machine.peak_share(lambda: first @ first, 4 * seconds, CPU, "fp32") == pytest.approx(0.25)
    machine.peak_flops.cache_clear()


def test_waiting_is_the_time_of_the_loader_alone() -> None:
    ticks = iter([0.0, 3.0, 10.0, 14.0])

    def batches() -> Iterator[int]:
        yield from (1, 2)

    timed = TimedBatches(batches(), lambda: next(ticks))
    assert [next(timed), next(timed)] == [1, 2]
    assert timed.seconds == 7.0


def test_a_training_row_has_both_shares(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    pictures(tmp_path / "images" / "only class", finetune.IMAGES)
    row = finetune.row(finetune.FinetuneSetting.on(CPU, "test_resnet", tmp_path, None))
    assert row.peak_share is not None
    assert 0 < row.peak_share < 1
    assert row.loader_share is not None
    assert 0.02 < row.loader_share < 0.9, "decoding takes its time in the same process, beside a tiny model"


def test_shares_are_printed_where_there_are_any() -> None:
    from benchmarks.perf.__main__ import table

    rows = [
        PerfRow("a", "b", theirs=3.0, ours=2.0, limit=1.6, peak_share=0.254, loader_share=0.6),
        PerfRow("a", "b", 1.0, 1.0, 1.0),
    ]
    printed = table(rows, "a CPU")
    cells = {str(column.header): list(column.cells) for column in printed.columns}
    assert cells["of peak"] == ["25%", "-"]
    assert cells["loader"] == ["60%", "-"]
