"""The benchmarks of distillation run, on tiny models; what they measure is checked where that is exact."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from benchmarks.perf import (
    distill_cached,
    distill_compiled,
    distill_loading,
    distill_losses,
    distill_memory,
    distill_step,
    distill_targets,
    distill_together,
)
from benchmarks.perf.distilling import DistillSetting, build_distiller, pictures
from benchmarks.perf.row import PerfRow
from umt.distill.distiller import Distiller, as_floats
from umt.distill.ingredients import Prepared, build_student
from umt.distill.recipe import load_recipe
from umt.distill.teachers.teacher import all_targets

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def setting() -> DistillSetting:
    changes = [
        "student=timm:test_resnet",
        "teachers.lite0.backbone=timm:test_convnext?pretrained=false",
        "teachers.lite2.backbone=timm:test_vit?pretrained=false&img_size=64",
        "teachers.lite2.objective=dino",
        "interaction.groups=8",
        "views.size=64",
    ]
    return DistillSetting(load_recipe("mini-cnn-pypi", changes), CPU, batch=2, repeats=1)


@pytest.fixture(scope="module")
def model(setting: DistillSetting) -> Distiller:
    return build_distiller(setting)


def test_a_step_is_compared_with_each_of_its_parts(setting: DistillSetting, model: Distiller) -> None:
    row = distill_step.against_parts(setting, model, "eager")
    parts = dict(part.split(" ") for part in row.note.split(", "))
    assert list(parts) == ["lite0", "lite2", "student", "spaces"]
    assert row.theirs == pytest.approx(sum(map(float, parts.values())), rel=0.01)
    assert all(value.grad is None for value in model.parameters())


def test_compiled_steps_are_compared_with_eager_ones(
    setting: DistillSetting, model: Distiller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Distiller, "compile_parts", lambda self: None)  # takes a minute, and has a test of its own
    rows = distill_compiled.rows(setting, model)
    assert [row.peer for row in rows] == ["sum of its parts alone", "eager, bf16", "eager, fp32"]


def test_cached_steps_are_compared_with_online_ones_and_with_the_students_own(
    setting: DistillSetting, model: Distiller
) -> None:
    rows = distill_cached.rows(setting, model)
    assert [row.limit for row in rows] == [2.9, 1 / 1.1]
    assert rows[0].ours == rows[1].ours > 0
    assert 0 < rows[0].peak_share < 1
    assert 0 < rows[0].loader_share <= 1


def test_other_losses_are_compared_with_the_plain_sum(setting: DistillSetting) -> None:
    rows = distill_losses.rows(setting)
    assert len(rows) == len(distill_losses.ALIGNMENTS)
    assert {row.limit for row in rows} == {1 / 1.05}


def test_two_students_are_compared_with_one_and_the_seconds_own_part(setting: DistillSetting) -> None:
    [row] = distill_together.rows(setting)
    assert row.limit == 1 / 1.15
    assert "two students" in row.job
    assert min(row.ours, row.theirs) > 0


def test_caches_are_compared_in_time_size_and_loss(setting: DistillSetting, model: Distiller, tmp_path: Path) -> None:
    images = pictures(tmp_path / "pictures", 24)
    writing = distill_targets.writing_row(setting, model, images, tmp_path)
    reading = distill_targets.reading_row(setting, model, images, tmp_path)
    assert "24 views in 12 shards" in writing.job
    assert "GB/s, with checksums" in reading.note
    assert 1 < distill_targets.size_row(model.teachers, 64).ratio < 6, "vectors are large beside maps of four cells"
    student = build_student(setting.recipe)
    prepared = Prepared(setting.recipe, images, student, tmp_path)
    loss = distill_targets.loss_row(prepared)
    assert loss.ours > 0
    assert loss.ours != loss.theirs
    assert 0 < float(loss.note.partition("cosine ")[2].partition(";")[0]) < 1


def test_loading_is_compared_with_the_step(setting: DistillSetting, model: Distiller) -> None:
    assert "0 worker processes" in distill_loading.row(setting, model).job


def test_memory_of_a_step_is_that_of_the_student_and_its_spaces(setting: DistillSetting, model: Distiller) -> None:
    """Exact on a CPU: teachers add their targets alone, because a step's peak comes after they are done."""
    several = replace(setting, batch=16)
    given, alone = distill_memory.rows(several, model)
    targets = all_targets(model.teachers, as_floats(several.views())).values()
    held = sum(part.nbytes for target in targets for part in (target.summary, target.features)) / distill_memory.MIB
    assert alone.ours < given.ours, "with --low-memory"
    assert model.parts == 1
    with_spaces, without = (float(row.note.split(" + ")[0]) for row in (given, alone))
    printed = 1e-3 * with_spaces
    assert with_spaces - printed < given.ours < with_spaces + held + printed, "as on targets that are given"
    assert held < 0.01 * given.ours
    assert without < with_spaces


def test_peaks_count_all_tensors_that_live_at_one_time() -> None:
    def work() -> None:
        for _ in range(3):
            first = torch.ones(1000, dtype=torch.float64)
            del first
        second = torch.ones(3000, dtype=torch.float64)
        torch.cat([second, second])

    assert distill_memory.peak_bytes(work, CPU) == 8 * 9000


def test_names_are_checked_before_anything_runs() -> None:
    main = import_module("benchmarks.perf.__main__").main
    done = CliRunner().invoke(main, ["distill_step", "distil_memory"])
    assert done.exit_code == 1
    assert "unknown benchmark 'distil_memory'" in done.output
    assert "distill_memory" in done.output


def test_the_list_describes_each_benchmark_and_runs_none() -> None:
    module = import_module("benchmarks.perf.__main__")
    names, texts = (list(column.cells) for column in module.catalogue().columns)
    assert names == module.BENCHMARKS
    assert all(text.endswith(".") for text in texts)
    assert texts[names.index("knn")] == "The k-NN classifier, against its matrix products alone."
    done = CliRunner().invoke(module.main, ["--list"])
    assert done.exit_code == 0
    assert "knn_segmentation" in done.output
    assert "ratio" not in done.output.splitlines()[1]


def test_rows_are_printed_with_the_machine() -> None:
    module = import_module("benchmarks.perf.__main__")
    table = module.table([PerfRow("a", "b", theirs=3.0, ours=2.0, limit=1.6)], "a CPU")
    assert table.caption == "a CPU"
    assert [list(column.cells) for column in table.columns][4] == ["[red]1.5"]
