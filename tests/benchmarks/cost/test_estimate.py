"""The cost of a suite: counts by hand, rates from jobs that run, and totals that add up."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner

from benchmarks.cost import rehearsal
from benchmarks.cost.estimate import dataset_gigabytes, devices_needed
from benchmarks.cost.rehearsal import Rates, rehearse
from benchmarks.cost.solving import MOST, VOTERS, solving_seconds
from benchmarks.cost.workload import workload
from benchmarks.results import Result, ResultStore
from benchmarks.suite.protocols import load_protocol
from benchmarks.tasks.registry import get_task
from umt.backbones import create_backbone
from umt.backbones.spec import read_name
from umt.cli import cli
from umt.data.contract import Dataset
from umt.data.mini.dense import write_ade20k
from umt.data.mini.write import PARTS, MiniSize, write_part
from umt.data.registry import BUILT_IN, dataset_info, find_dataset
from umt.errors import UMTError

SPEC = "timm:test_resnet?pretrained=false"


def settings_of(task: str, protocol: str = "paper") -> Any:
    return load_protocol(task, protocol, get_task(task).settings).settings


@pytest.mark.parametrize(
    ("task", "dataset", "protocol", "trained", "tested"),
    [
        ("imagenet_finetune", "imagenet", "paper", 10 * 1_281_167, 50_000),
        ("finegrained_finetune", "aircraft", "paper", 50 * (3334 + 3333), 3333),
        ("ade20k_linear", "ade20k", "paper", 80_000 * 16, 2000),
        ("ade20k_linear", "ade20k", "dinov3", 40_000 * 16, 8 * 2000),  # tested every 5 000 steps
        ("nyuv2_depth", "nyuv2", "paper", 25_000 * 16, 654),
        ("finegrained_linear", "cub", "paper", 0, 5994 + 5794),
        ("throughput", "imagenet", "paper", 0, 64 * 23),
    ],
)
def test_images_of_published_protocols(task: str, dataset: str, protocol: str, trained: int, tested: int) -> None:
    found = workload(dataset, settings_of(task, protocol), dataset_info(dataset).splits)
    assert found.trained == pytest.approx(trained, rel=1e-3)  # whole steps
    assert found.tested == tested


def test_probes_of_the_same_view_share_their_features() -> None:
    sizes = dataset_info("cub").splits
    linear, knn, fewshot = (
        workload("cub", settings_of(task), sizes).features for task in ("finegrained_linear", "knn", "fewshot")
    )
    assert knn == fewshot
    assert linear != knn, "another crop"


def test_a_task_from_outside_has_no_known_cost() -> None:
    with pytest.raises(UMTError, match="the cost of tasks from outside is not known; leave it out with --tasks"):
        workload("cub", object(), {"train": 1, "test": 1})


def test_devices_take_the_longest_jobs_first() -> None:
    assert devices_needed([3, 3, 2, 2, 2], 2) == 7
    assert devices_needed([5, 1, 1], 3) == 5
    assert devices_needed([], 2) == 0


def test_every_data_set_has_a_size() -> None:
    assert dataset_gigabytes(BUILT_IN).keys() == set(BUILT_IN)


def test_a_job_costs_what_its_images_cost() -> None:
    assert Rates(fixed=10, trained=2, tested=0.5).seconds(trained=3, tested=4) == 18


def test_a_dense_job_is_rehearsed_by_its_own_training_and_test(tmp_path: Path) -> None:
    write_ade20k(tmp_path / "ade", (3, 5))
    small = replace(settings_of("ade20k_linear", "mini"), scale=(256, 64), crop=64)
    rates = rehearse(
        get_task("ade20k_linear"), small, read_name(SPEC), Dataset(dataset_info("ade20k"), tmp_path / "ade"),
        torch.device("cpu"), tmp_path / "work",
    )  # fmt: skip
    assert rates.trained >= 0
    assert rates.tested > 0
    assert rates.fixed > rates.tested


@pytest.mark.parametrize(
    ("task", "protocol", "images"),
    [
        ("finegrained_finetune", "mini", 16),  # all that a step has on a device
        ("knn", "mini", 32),
        ("imagenet_finetune", "paper", 5),
        ("ade20k_linear", "paper", 4),
    ],
)
def test_on_a_cpu_small_images_are_rehearsed_by_the_batch_and_large_ones_by_few(
    task: str, protocol: str, images: int
) -> None:
    assert rehearsal._batch(settings_of(task, protocol), torch.device("cpu")) == images


def test_solving_counts_for_probes_that_have_a_grid_in_proportion_to_their_images() -> None:
    linear, device = settings_of("finegrained_linear", "mini"), torch.device("cpu")
    assert solving_seconds(settings_of("fewshot", "mini"), 100, 10, 8, 5, device) == 0
    assert solving_seconds(linear, 100, 10, 8, 5, device) > 0
    few, many = (solving_seconds(linear, MOST * times, 10, 8, 5, device) for times in (1, 1000))
    assert many > 50 * few, "the same images are solved for, and count a thousand times"


def test_neighbours_count_in_proportion_to_the_images_that_vote_and_are_voted_on() -> None:
    knn, device = settings_of("knn"), torch.device("cpu")
    one = solving_seconds(knn, VOTERS, 1000, 8, 5, device)
    more = solving_seconds(knn, VOTERS * 50, 1000 * 40, 8, 5, device)
    assert more > 100 * one > 0, "the same neighbours are looked for, and count two thousand times"


def test_speed_is_rehearsed_by_its_own_forwards(tmp_path: Path) -> None:
    write_part(next(part for part in PARTS if part.dataset == "imagenet"), tmp_path, MiniSize(imagenet=20))
    rates = rehearse(
        get_task("throughput"), settings_of("throughput", "mini"), read_name(SPEC),
        find_dataset("imagenet", tmp_path, {}), torch.device("cpu"), tmp_path / "work",
    )  # fmt: skip
    assert rates.tested > 0
    assert rates.trained == 0


def test_the_command_counts_absent_data_by_official_sizes_and_checks_against_results(
    tmp_path: Path, make_result: Callable[..., Result]
) -> None:
    """Probes that share their features, on embedded images; a store says that one of the jobs took 1.5 s."""
    key = {"backbone": "tiny", "task": "finegrained_linear", "protocol": "mini"}
    ResultStore(tmp_path / "results").write(make_result(**key))
    column = {"dataset": "cub", "protocol": "mini", "metric": "accuracy"}
    columns = [{"heading": task, "task": task, **column} for task in ("finegrained_linear", "fewshot", "knn")]
    suite = {"title": "t", "about": "t", "seeds": 2, "embedded_data": False, "example": [], "columns": columns}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    command = ["plan", "--backbone", f"tiny={SPEC}", "--suite", str(tmp_path / "suite.yaml"), "--device", "cpu"]
    done = CliRunner().invoke(
        cli, [*command, "--data-root", str(tmp_path), "--gpus", "2", "--check", str(tmp_path / "results")]
    )
    assert done.exit_code == 0, done.output
    hours = re.search(r"(\d+) jobs: ([\d.]+) device hours, .* on 2 devices", done.output)
    assert hours
    assert int(hours[1]) == 2 + 2 + (1 if not get_task("knn").seeded else 2)
    megabytes = 4 * create_backbone(SPEC).dim * (5994 + 5794) / 1e6
    assert f"official data sets 1 GB, features {megabytes:.0f} MB" in done.output
    assert re.search(r"check: 1 jobs took 2 s, [\d.]+ of the plan", done.output)


def test_the_command_says_what_to_name() -> None:
    done = CliRunner().invoke(cli, ["plan"])
    assert done.exit_code == 2
    assert "name a checkpoint, or --backbone SPEC" in done.output
