"""The cost of a suite: ranges by hand from work and speed, and totals that add up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from benchmarks.cost import estimate
from benchmarks.cost.estimate import (
    EXTRA_SECONDS,
    HIGH_FACTOR,
    LOW_FACTOR,
    SECONDS_A_PIXEL,
    dataset_gigabytes,
    devices_needed,
    estimates_of,
)
from benchmarks.environment import describe
from benchmarks.results import Result
from benchmarks.suite.plan import PlanOptions
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.backbones.probing import counted
from umt.backbones.spec import read_name
from umt.data.registry import BUILT_IN

SPEC = "timm:test_resnet?pretrained=false"
CPU = torch.device("cpu")
SPEED = 2.0  # 10^9 multiply-adds a second


@pytest.fixture
def estimated(tmp_path: Path, make_result: Callable[..., Result]) -> Callable[..., list[estimate.JobEstimate]]:
    """Estimates of jobs, TASK DATASET PROTOCOL each, of a backbone whose speed is known."""
    weights = create_backbone(SPEC).weights_hash()
    given = make_result(task="throughput", weights_hash=weights)
    environment = replace(given.environment, device=describe(CPU).device)

    def go(*jobs: str, speed: float = SPEED, seeds: int = 1) -> list[estimate.JobEstimate]:
        columns = [
            {"heading": job, "metric": "any", **dict(zip(("task", "dataset", "protocol"), job.split(), strict=True))}
            for job in jobs
        ]
        suite = {"title": "t", "about": "t", "seeds": 1, "embedded_data": False, "example": [], "columns": columns}
        (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
        options = PlanOptions(
            load_suite(str(tmp_path / "suite.yaml")), (read_name(f"tiny={SPEC}"),), tmp_path, {}, tmp_path, (), seeds,
            "cpu",
        )  # fmt: skip
        details = {"precision": "fp32", "threads": torch.get_num_threads()}
        metrics = {"images_per_second": speed, "gmacs": 1.0}
        result = replace(given, metrics=metrics, environment=environment, details=details)
        return estimates_of(options.backbones[0], options, CPU, torch.get_num_threads(), [result])

    return go


@torch.no_grad()
def forward_gmacs(side: int) -> float:
    backbone = create_backbone(SPEC).eval().requires_grad_(False)
    return counted(lambda: backbone(torch.zeros(1, 3, side, side), maps=(-1,)))[1]


def test_features_cost_their_forwards_and_stay_on_the_disk(
    estimated: Callable[..., list[estimate.JobEstimate]],
) -> None:
    (job,) = estimated("fewshot cub paper")
    seconds = (5994 + 5794) * forward_gmacs(224) / SPEED
    assert job.low == pytest.approx(LOW_FACTOR * seconds)
    assert job.high == pytest.approx(HIGH_FACTOR * seconds + EXTRA_SECONDS)
    assert job.features == 4 * create_backbone(SPEC).dim * (5994 + 5794)
    assert (job.checkpoint, job.problem) == (0, "")


def test_training_costs_three_forwards_and_a_file_to_resume_from(
    estimated: Callable[..., list[estimate.JobEstimate]],
) -> None:
    (job,) = estimated("finegrained_finetune cub mini")
    seconds = (3 * 5 * 5994 + 5794) * forward_gmacs(64) / SPEED
    assert job.low == pytest.approx(LOW_FACTOR * seconds, rel=1e-3)  # whole steps
    parameters = sum(value.numel() for value in create_backbone(SPEC).parameters())
    assert (job.features, job.checkpoint) == (0, 16 * parameters)


def test_a_small_network_waits_for_its_images(estimated: Callable[..., list[estimate.JobEstimate]]) -> None:
    (job,) = estimated("fewshot imagenet paper", speed=1e6)
    assert job.low == pytest.approx(LOW_FACTOR * 1_331_167 * forward_gmacs(224) / 1e6)
    assert job.high == pytest.approx(SECONDS_A_PIXEL * 1_331_167 * 224**2 / torch.get_num_threads() + EXTRA_SECONDS)


def test_shared_features_count_once(estimated: Callable[..., list[estimate.JobEstimate]]) -> None:
    fewshot, again, knn, heads, second = estimated(
        "fewshot cub paper", "knn cub paper", "dinov2_linear cub paper", seeds=2
    )
    assert fewshot.low > 0
    assert (again.low, again.high, again.features) == (0, EXTRA_SECONDS, 0)
    votes = LOW_FACTOR * 5994 * 5794 * create_backbone(SPEC).dim / 1e9 / SPEED
    assert (knn.low, knn.features) == (pytest.approx(votes), 0)
    assert heads.features == 5 * fewshot.features, "four class tokens and a mean, of which none is there"
    assert heads.low - second.low == pytest.approx(fewshot.low), "one pass gives them all"


def test_heads_and_penalties_are_solved_for_each_seed(estimated: Callable[..., list[estimate.JobEstimate]]) -> None:
    """13 learning rates on 1 + 2 + 4 + 5 parts, a forward and a gradient each; 45 penalties of 20 products each."""
    _, heads, _, penalties = estimated("dinov2_linear cub paper", "finegrained_linear cub paper", seeds=2)
    weights = create_backbone(SPEC).dim * 200
    assert heads.low == pytest.approx(LOW_FACTOR * 2 * 12_500 * 1024 * 13 * 12 * weights / 1e9 / SPEED)
    assert penalties.low == pytest.approx(LOW_FACTOR * 5994 * 45 * 20 * weights / 1e9 / SPEED)


def test_other_data_share_nothing(estimated: Callable[..., list[estimate.JobEstimate]]) -> None:
    first, second = estimated("knn cub paper", "knn aircraft paper")
    assert first.low > 0
    assert second.low > 0


@pytest.mark.parametrize("job", ["ade20k_linear ade20k mini", "nyuv2_depth nyuv2 mini"])
def test_dense_jobs_count_their_heads(estimated: Callable[..., list[estimate.JobEstimate]], job: str) -> None:
    (dense,) = estimated(job)
    images, side = (50 * 8, 128) if job.startswith("ade") else (80 * 8, 96)
    assert dense.low > LOW_FACTOR * images * forward_gmacs(side) / SPEED


def test_a_job_of_unknown_cost_hides_no_other(
    estimated: Callable[..., list[estimate.JobEstimate]], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = {"fewshot": replace(get_task("fewshot"), workload=None)}
    monkeypatch.setattr(estimate, "get_task", lambda name: changed.get(name) or get_task(name))
    unknown, wrong, known = estimated("fewshot cub paper", "knn cub papre", "knn cub paper")
    assert "the cost of task 'fewshot' is unknown: it declares no workload" in unknown.problem
    assert "papre" in wrong.problem
    assert (known.problem, known.low > 0) == ("", True)


def test_a_network_that_cannot_be_counted_is_said(
    estimated: Callable[..., list[estimate.JobEstimate]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> None:
        raise ValueError("no such thing\nas a meta tensor")

    monkeypatch.setattr(estimate, "pass_gmacs", refuse)
    (job,) = estimated("knn cub paper")
    assert job.problem == "its multiply-adds cannot be counted: no such thing"


def test_devices_take_the_longest_jobs_first() -> None:
    assert devices_needed([3, 3, 2, 2, 2], 2) == 7
    assert devices_needed([5, 1, 1], 3) == 5
    assert devices_needed([], 2) == 0


def test_every_data_set_has_a_size() -> None:
    assert dataset_gigabytes(BUILT_IN).keys() == set(BUILT_IN)


def test_images_normalised_otherwise_share_nothing(estimated: Callable[..., list[estimate.JobEstimate]]) -> None:
    """Proteus' probe normalises by CLIP's values: its forwards are its own."""
    forwards = LOW_FACTOR * (5994 + 5794) * forward_gmacs(224) / SPEED
    paper, other = estimated("finegrained_linear cub paper", "finegrained_linear cub proteus")
    assert paper.low > forwards
    assert other.low > forwards
    assert other.features == paper.features > 0
