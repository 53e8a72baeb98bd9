"""A fine-tuning job on two processes: the numbers of one process, and errors as one line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks.jobs.preflight import make_plan
from benchmarks.jobs.worker import run_job
from benchmarks.results import ResultStore
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.request import JobRequest
from benchmarks.suite.suite import load_suite
from umt.backbones.spec import read_name
from umt.data.sets.ade20k import write_mini as write_ade20k

# No BatchNorm, and nothing that draws at random besides the augmentations, which depend on image and showing alone.
PROTOCOL = {
    "version": 1,
    "about": "test",
    "extends": "mini",
    "epochs": 3,
    "batch": 4,
    "device_batch": 2,
    "resolution": 32,
    "hflip": 0.5,
    "auto_augment": "rand-m9-mstd0.5-inc1",
    "reprob": 0.5,
    "ema": 0.5,
}
SPEC = "tiny=timm:test_vit?pretrained=false&img_size=32"
Plan = Callable[..., JobRequest]


@pytest.fixture
def plan(tmp_path: Path, image_folder: Callable[..., Path]) -> Plan:
    """The request of one fine-tuning job over so many processes, each time with its own folder of results."""
    image_folder(tmp_path / "data" / "imagenet", train=8, val=6)

    def make(processes: int, **changes: object) -> JobRequest:
        protocol = tmp_path / "quick.yaml"
        protocol.write_text(yaml.safe_dump({**PROTOCOL, **changes}))
        column = {"heading": "I", "task": "imagenet_finetune", "dataset": "imagenet", "metric": "top1"}
        suite = {"title": "t", "about": "t", "seeds": 1, "embedded_data": False, "example": []}
        table = {"title": "t", "columns": [{**column, "protocol": str(protocol)}]}
        (tmp_path / "suite.yaml").write_text(yaml.safe_dump({**suite, "tables": {"t": table}}))
        options = PlanOptions(
            load_suite(str(tmp_path / "suite.yaml")),
            (read_name(SPEC),),
            tmp_path / "data",
            {},
            tmp_path / f"out-{processes}",
            (),
            1,
            "cpu",
            processes=processes,
        )
        return make_plan(options).requests()[0]

    return make


def losses(request: JobRequest) -> np.ndarray:
    """Cross-entropy of each test image, as the job stored it."""
    raw = ResultStore(request.out / "results").path(request.key).with_suffix(".npz")
    return np.load(raw)["losses"]


@pytest.mark.slow
def test_two_processes_store_the_numbers_of_one(plan: Plan) -> None:
    """Augmentations and the average of the weights included."""
    heard: list[tuple[int, int, str]] = []
    one, two = plan(1), plan(2)
    assert run_job(one).status == "done"
    report = run_job(two, lambda *message: heard.append(message))
    assert (report.status, report.message) == ("done", "")
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-4)
    assert losses(one).std() > 1e-3, "something was learnt"
    assert ResultStore(two.out / "results").read(two.key).global_batch == 4
    assert (12, 12) in [(done, total) for done, total, _ in heard]


def test_a_loss_that_is_no_number_ends_all_of_them_and_keeps_the_work(plan: Plan) -> None:
    request = plan(2, lr=1e30, warmup_epochs=0.0, clip_norm=None)
    report = run_job(request)
    assert report.status == "failed"
    assert re.fullmatch(r"iteration \d+: loss is .*; no checkpoint was saved before; lower lr .*", report.message)
    assert not ResultStore(request.out / "results").has(request.key)


def test_a_job_takes_as_many_processes_as_can_share_its_batch(plan: Plan) -> None:
    assert plan(3).processes == 2


def test_tasks_that_cannot_be_spread_take_one_process(tmp_path: Path, image_folder: Callable[..., Path]) -> None:
    image_folder(tmp_path / "imagenet")
    options = PlanOptions(
        load_suite("mini"), (read_name(SPEC),), tmp_path, {}, tmp_path / "out", ("knn",), 1, "cpu", processes=4
    )
    assert {request.processes for request in make_plan(options).requests()} == {1}


@pytest.mark.slow
def test_a_segmentation_job_is_shared_out_too(tmp_path: Path) -> None:
    """Its numbers are not those of one process here: on CPUs the head's BatchNorm sees each process's images alone."""
    write_ade20k(tmp_path / "ade", (4, 3))
    protocol, file = tmp_path / "short.yaml", tmp_path / "suite.yaml"
    short = {"iterations": 3, "warmup": 1, "batch": 4, "bn_batch": 4, "scale": [256, 64], "crop": 64}
    protocol.write_text(yaml.safe_dump({"version": 1, "about": "test", "extends": "mini", **short}))
    column = {"heading": "A", "task": "ade20k_linear", "dataset": "ade20k", "metric": "miou", "protocol": str(protocol)}
    tables = {"t": {"title": "t", "columns": [column]}}
    suite = {"title": "t", "about": "t", "seeds": 1, "embedded_data": False, "example": [], "tables": tables}
    file.write_text(yaml.safe_dump(suite))
    data, out = {"ade20k": tmp_path / "ade"}, tmp_path / "out"
    options = PlanOptions(
        load_suite(str(file)), (read_name("tiny=timm:test_resnet?pretrained=false"),), tmp_path, data, out, (), 1,
        "cpu", processes=2,
    )  # fmt: skip
    (request,) = make_plan(options).requests()
    heard: list[tuple[int, int, str]] = []
    report = run_job(request, lambda *message: heard.append(message))
    assert (report.status, report.message) == ("done", "")
    result = ResultStore(out / "results").read(request.key)
    assert (result.details["processes"], result.details["bn_batch"], result.global_batch) == (2, 4, 4)
    assert 0 <= result.metrics["miou"] <= 100
    assert len(result.pictures) == 3
    assert [message[:2] for message in heard if "loss" in message[2]][-1] == (3, 3)
