"""A column that cannot be measured is a blocked job with the reason, and stops no other; a wrong option stops all."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest

from benchmarks.jobs.measure import build_of, measure
from benchmarks.jobs.preflight import make_plan
from benchmarks.suite.plan import PlanOptions, RunPlan
from benchmarks.suite.suite import Column, SuiteTable, load_suite
from umt.backbones import probing
from umt.backbones.spec import read_name
from umt.errors import OptionError

SOUND = Column("k-NN", "knn", "imagenet", "mini", "top1")


@pytest.fixture
def plan(image_folder: Callable[..., Path], tmp_path: Path) -> Callable[..., RunPlan]:
    image_folder(tmp_path / "data" / "imagenet")

    def make(*columns: Column, **options: Any) -> RunPlan:
        suite = replace(load_suite("mini"), tables={"t": SuiteTable("Title", columns=(SOUND, *columns))})
        names = (read_name("timm:test_resnet?pretrained=false"),)
        whole = {
            "backbones": names,
            "data": {},
            "out": tmp_path / "out",
            "tasks": (),
            "seeds": 1,
            "device": "cpu",
            **options,
        }
        return make_plan(PlanOptions(suite=suite, data_root=tmp_path / "data", **whole))

    return make


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "nyuv2"}, "task 'knn' takes data for classification, and data set 'nyuv2' is for depth"),
        ({"dataset": "imagenett"}, "unknown data set 'imagenett'. Did you mean imagenet or "),
        ({"metric": "miou", "protocol": "paper"}, "unknown metric of task 'knn' 'miou'"),
        ({"task": "knnn"}, "unknown task 'knnn'. Did you mean knn?"),
        ({"protocol": "no-such"}, "unknown protocol for knn 'no-such'"),
    ],
)
def test_a_column_that_fits_no_task_is_blocked_alone(
    plan: Callable[..., RunPlan], changes: dict[str, str], reason: str
) -> None:
    sound, blocked = plan(replace(SOUND, **changes)).jobs
    assert sound.state == "to run"
    assert blocked.state == "blocked"
    assert reason in (blocked.problem or "")


def test_the_metrics_of_columns_that_share_a_job_are_all_checked(plan: Callable[..., RunPlan]) -> None:
    (job,) = plan(replace(SOUND, heading="other", metric="top2")).jobs
    assert job.state == "blocked"
    assert "unknown metric of task 'knn' 'top2'" in (job.problem or "")


def test_a_backbone_of_one_size_has_no_point_at_another_resolution(plan: Callable[..., RunPlan]) -> None:
    fixed = "timm:mixer_s32_224?pretrained=false&img_size=64"
    columns = [replace(SOUND, protocol="paper", resolution=64), replace(SOUND, protocol="small", resolution=96)]
    made = plan(*columns, backbones=(read_name("timm:test_resnet?pretrained=false"), read_name(f"one={fixed}")))
    assert [job.state for job in made.jobs] == ["to run"] * 5 + ["blocked"]
    assert made.jobs[-1].problem == (
        "one: it takes images of 64x64 only, so it has no number at 96 pixels; measure it at 64"
    )


def test_only_tasks_that_train_need_training_images(plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    rmtree(tmp_path / "data" / "imagenet" / "train")
    zero_shot = Column("zero-shot", "zeroshot", "imagenet", "single", "top1")
    fine_tuned = Column("fine-tuned", "imagenet_finetune", "imagenet", "mini", "top1")
    made = plan(zero_shot, fine_tuned)
    assert [job.state for job in made.jobs] == ["blocked", "to run", "blocked"]
    assert all("train: folder of the data set is missing" in (job.problem or "") for job in made.jobs[::2])
    assert made.datasets[0].sizes == {"val": 4}


@pytest.mark.parametrize("inner", ["imagenet", "ILSVRC/Data/CLS-LOC"])
def test_a_job_reads_the_folder_that_the_plan_found(plan: Callable[..., RunPlan], tmp_path: Path, inner: str) -> None:
    """As an archive leaves it that was unpacked into a folder of its name, and as Kaggle's is."""
    outer = (tmp_path / "data" / "imagenet").rename(tmp_path / "data" / "moved")
    (tmp_path / "data" / "imagenet" / inner).parent.mkdir(parents=True)
    outer.rename(tmp_path / "data" / "imagenet" / inner)
    (request,) = plan().requests()
    assert request.data_root == tmp_path / "data" / "imagenet" / inner
    result, *_ = measure(request, lambda *_: None)
    assert result.metrics["top1"] >= 0


def test_a_folder_for_no_data_set_is_refused(plan: Callable[..., RunPlan], tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"--data cup=.*: unknown data set 'cup'\. Did you mean cub\?"):
        plan(data={"cup": tmp_path})


def test_a_job_builds_from_what_the_plan_found_out(
    plan: Callable[..., RunPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    (request,) = plan().requests()
    sent = pickle.loads(pickle.dumps(request))
    monkeypatch.setattr(probing, "_measured", None)
    assert build_of(sent).weights_hash() == request.key.weights_hash
    with pytest.raises(TypeError):
        build_of(replace(sent, facts=()))


def test_facts_of_another_name_or_type_are_found_anew(plan: Callable[..., RunPlan]) -> None:
    (request,) = plan().requests()
    ((question, shape),) = request.facts
    declared = build_of(request).channels
    for facts in ((("other", shape),), ((question, "shape"),)):
        assert build_of(replace(request, facts=facts)).channels == declared
    other = replace(shape, channels=(1, *declared[1:]))
    assert build_of(replace(request, facts=((question, other),))).channels == other.channels
