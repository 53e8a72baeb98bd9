"""The benchmark of fine-tuning's memory sees gradients, the optimiser's state and copies of weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.perf import finetune_memory
from benchmarks.perf.distill_memory import peak_bytes
from benchmarks.perf.distilling import pictures
from benchmarks.perf.finetune import IMAGES, FinetuneSetting, our_loop
from benchmarks.perf.row import PerfRow
from umt.backbones import create_backbone

CPU, MODEL = torch.device("cpu"), "test_resnet"


def row_of(folder: Path, ema: float | None) -> PerfRow:
    setting = FinetuneSetting.on(CPU, MODEL, folder, ema)
    sizes = {"batch": 2, "device_batch": 2, "epochs": 4 / IMAGES, "resolution": 64}
    return finetune_memory.row(replace(setting, settings=replace(setting.settings, **sizes)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    pictures(tmp_path / "images" / "only class", IMAGES)
    return tmp_path


def test_all_that_a_training_holds_counts(folder: Path) -> None:
    backbone = create_backbone(f"timm:{MODEL}?pretrained=false")
    weights = sum(value.nbytes for value in backbone.parameters()) / finetune_memory.MIB
    plain, averaged = row_of(folder, None), row_of(folder, 0.9)
    assert plain.unit == "MiB"
    assert min(plain.theirs, plain.ours) > 3 * weights, "gradients and two moments"
    assert averaged.ours - plain.ours > 0.9 * weights, "the average is one more copy"
    assert plain.ratio > 0.8


def test_memory_of_earlier_work_that_is_freed_hides_nothing() -> None:
    tensors = []

    def work() -> None:
        tensors.clear()
        torch.ones(2**20)

    assert peak_bytes(lambda: tensors.append(torch.ones(2**22)), CPU) == 4 * 2**22
    assert peak_bytes(work, CPU) == 4 * 2**20


def test_a_loop_that_holds_more_is_seen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = []

    def wasteful(setting: FinetuneSetting) -> Callable[[], None]:
        def run() -> None:
            held.append(torch.ones(2**20, 64))
            our_loop(setting)()

        return run

    monkeypatch.setattr(finetune_memory, "our_loop", wasteful)
    row = row_of(folder, None)
    assert row.ours > 256 > row.theirs
