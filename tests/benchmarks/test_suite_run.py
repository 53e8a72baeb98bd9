"""The suite through its command line: resume, failures, kill -9, the plan."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint

Make = Callable[..., Any]


def brightness(data_root: Path) -> float:
    return float(
        np.mean([np.asarray(Image.open(path)).mean() for path in (data_root / "imagenet/val").glob("*/*.png")])
    )


def test_runs_every_job_and_stores_what_it_measured(small_suite: Make) -> None:
    suite = small_suite()
    done = suite.run("--seeds", "2")
    assert done.returncode == 0, done.stderr + done.stdout
    records = [json.loads(path.read_text()) for path in suite.results()]
    assert [record["metrics"]["brightness"] - record["key"]["seed"] for record in records] == pytest.approx(
        [brightness(suite.data_root)] * 2
    )
    raw = np.load(suite.results()[0].with_name(records[0]["raw"]))
    assert raw["brightness"].mean() == pytest.approx(brightness(suite.data_root))
    assert records[0]["environment"]["packages"]["torch"]
    assert records[0]["data"]["official"] is False


def test_second_run_repeats_nothing(small_suite: Make) -> None:
    suite = small_suite()
    suite.run()
    before = [path.stat().st_mtime_ns for path in suite.results()]
    again = suite.run()
    assert again.returncode == 0
    assert "1 done before, 0 to run" in again.stdout
    assert [path.stat().st_mtime_ns for path in suite.results()] == before


def test_failures_are_reported_and_the_rest_goes_on(small_suite: Make) -> None:
    suite = small_suite(bad="raise", dead="die", empty="nan", good="ok")
    done = suite.run()
    assert done.returncode == 1
    assert len(suite.results()) == 1
    assert "ValueError: this task always fails" in done.stdout
    assert "ended with status 9" in done.stdout
    assert "metric 'brightness' is nan" in done.stdout
    assert "3 without a result" in done.stdout


@pytest.mark.slow
def test_jobs_run_side_by_side(small_suite: Make) -> None:
    suite = small_suite(a="ok, 3", b="ok, 3")
    assert suite.run("--workers", "2").returncode == 0
    spans = []
    for path in suite.results():
        record = json.loads(path.read_text())
        spans.append((path.stat().st_mtime - record["wall_seconds"], path.stat().st_mtime))
    (start_a, end_a), (start_b, end_b) = spans
    assert max(start_a, start_b) < min(end_a, end_b)


@pytest.mark.slow
def test_killed_suite_takes_its_job_along_and_goes_on_later(
    small_suite: Make, wait_for: Callable[..., None], processes_mentioning: Callable[[str], list[int]]
) -> None:
    suite = small_suite(first="ok", second="ok, 60")
    process = subprocess.Popen(suite.command(), stdout=subprocess.DEVNULL)
    wait_for(lambda: len(suite.results()) == 1 and list(suite.out.glob("work/*/*second*/lock")))
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not processes_mentioning(str(suite.out)))
    assert len(suite.results()) == 1
    first = suite.results()[0].stat().st_mtime_ns

    Path(suite.file.parent / "second.yaml").write_text("version: 1\nabout: test\n")
    again = suite.run()
    assert again.returncode == 0, again.stdout
    assert "1 done before, 1 to run" in again.stdout
    assert len(suite.results()) == 2
    assert first in [path.stat().st_mtime_ns for path in suite.results()]


@pytest.mark.slow
def test_interrupted_suite_ends_its_job_and_says_how_to_go_on(
    small_suite: Make, wait_for: Callable[..., None], processes_mentioning: Callable[[str], list[int]]
) -> None:
    suite = small_suite(first="ok", second="ok, 60")
    process = subprocess.Popen(
        suite.command("--workers", "1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(lambda: len(suite.results()) == 1 and list(suite.out.glob("work/*/*second*/lock")))
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.count("umt: interrupted; what is finished is kept, and the same command goes on from there") == 1
    assert "Aborted" not in said
    assert "Traceback" not in said
    wait_for(lambda: not processes_mentioning(str(suite.out)))


def test_dry_run_prints_the_plan_and_writes_nothing(small_suite: Make) -> None:
    suite = small_suite()
    done = suite.run("--dry-run")
    assert done.returncode == 0, done.stderr
    assert not suite.out.exists()
    for part in ("tiny", str(suite.data_root / "imagenet"), "4 val", "to run", "GB are free"):
        assert part in done.stdout


def test_missing_data_blocks_its_jobs_with_the_expected_path(small_suite: Make) -> None:
    suite = small_suite()
    (suite.data_root / "imagenet").rename(suite.data_root / "elsewhere")
    done = suite.run()
    assert done.returncode == 1
    assert f"{suite.data_root / 'imagenet'}: ImageNet-1k is not there" in done.stdout
    assert suite.run("--data", f"imagenet={suite.data_root / 'elsewhere'}").returncode == 0


def test_backbone_that_cannot_be_built_blocks_only_its_own_jobs(small_suite: Make) -> None:
    suite = small_suite()
    (suite.data_root / "broken.pth").write_text("no weights")
    broken = ("--backbone", f"broken=timm:test_vit?weights={suite.data_root}/broken.pth")
    planned = suite.run(*broken, "--dry-run")
    assert (planned.returncode, suite.results()) == (1, [])
    assert "1 jobs blocked, 0 without a result" in planned.stdout
    done = suite.run(*broken)
    assert done.returncode == 1
    assert "blocked (1 jobs)" in done.stdout
    assert "broken.pth: " in done.stdout
    assert len(suite.results()) == 1


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
@pytest.mark.parametrize("name", ["timm:resnet5", "absent/student.pth", "resnet50", "timm:test_vit?weights=absent.pth"])
def test_a_mistyped_name_is_one_error(small_suite: Make, name: str, dry: tuple[str, ...]) -> None:
    suite = small_suite(one="ok", two="ok")
    done = suite.run("--backbone", name, *dry)
    assert done.returncode == 2
    assert len((done.stdout + done.stderr).strip().splitlines()) == 1
    assert suite.results() == []


def test_two_files_of_one_name_are_two_rows(small_suite: Make, tmp_path: Path) -> None:
    suite = small_suite()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        save_checkpoint(
            tmp_path / folder / "s.pth", create_backbone("timm:test_vit?pretrained=false", seed=ord(folder))
        )
    shown = suite.run(str(tmp_path / "a/s.pth"), str(tmp_path / "b/s.pth"), "--dry-run")
    assert shown.returncode == 0
    assert "a/s · brightness" in shown.stdout
    assert "b/s · brightness" in shown.stdout


def test_checkpoints_are_rows_and_a_hostile_one_runs_nothing(small_suite: Make, tmp_path: Path) -> None:
    suite = small_suite()
    save_checkpoint(tmp_path / "student.pth", create_backbone("timm:test_vit?pretrained=false"))
    torch.save({"state_dict": Hostile(tmp_path / "executed")}, tmp_path / "hostile.pth")
    done = suite.run(str(tmp_path / "student.pth"), str(tmp_path / "hostile.pth"))
    assert done.returncode == 1
    assert f"{tmp_path / 'hostile.pth'}: refused" in done.stdout
    assert not (tmp_path / "executed").exists()
    assert {path.parent.name for path in suite.results()} == {"tiny", "student"}


class Hostile:
    """A pickle that would make a folder."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_other_weights_are_another_result(small_suite: Make) -> None:
    suite = small_suite()
    suite.run()
    done = suite.run(backbone="timm:test_resnet?pretrained=false&drop_rate=0.1&in_chans=3&act_layer=silu")
    assert "1 done before" in done.stdout, "equal weights are the same model"
    done = suite.run(backbone="timm:test_vit?pretrained=false")
    assert done.returncode == 0, done.stdout
    assert len(suite.results()) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "brightnes"], "Did you mean brightness?"),
        (["--device", "quantum"], "not a torch device"),
        (["--data", "imagenet"], "write it as NAME=DIR"),
        (["--backbone", "tiny=timm:test_vit?pretrained=false"], "two backbones have the label 'tiny'"),
        (["--suite", "papr"], "Did you mean paper?"),
    ],
)
def test_wrong_arguments_say_what_to_write(small_suite: Make, arguments: list[str], message: str) -> None:
    done = small_suite().run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_cluster_path_gives_the_same_numbers(small_suite: Make) -> None:
    suite = small_suite(good="ok", bad="raise")
    command = suite.command("--cluster", "local", "--cluster-option", "timeout_min=2")
    # In a process of its own: submitit's logging closes the log files of everybody else.
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "this task always fails" in done.stdout
    (path,) = suite.results()
    assert json.loads(path.read_text())["metrics"]["brightness"] == pytest.approx(brightness(suite.data_root))


@pytest.mark.slow
def test_of_two_suites_on_one_store_the_last_to_end_sees_all_results(small_suite: Make) -> None:
    """Each has the job that the other has not, and looks at the store again in the end."""
    suite = small_suite(a="ok, 4", b="ok, 8")
    running = [
        subprocess.Popen(suite.command("--workers", "1"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    ended: list[subprocess.Popen[str]] = []
    while len(ended) < 2:
        for process in running:
            if process not in ended and process.poll() is not None:
                ended.append(process)
        time.sleep(0.05)
    said = [process.communicate()[0] for process in ended]
    assert len(suite.results()) == 2
    assert any("elsewhere" in text for text in said)
    assert ended[-1].returncode == 0, said[-1]
