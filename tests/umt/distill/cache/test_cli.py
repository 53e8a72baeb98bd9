"""`umt teachers` on the command line: what it says, asks and refuses, and what is left after a kill."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from filelock import FileLock
from PIL import Image

from umt.backbones.checkpoint import read_checkpoint
from umt.distill.cache import cli as teachers_cli
from umt.distill.cache.cli import teachers
from umt.distill.cli import distill_command
from umt.distill.teachers.teacher import Teacher
from umt.errors import UMTError

RECIPE = {
    "about": "Random stand-ins as teachers: a CNN called classification, a ViT called DINO",
    "student": "timm:test_convnext",
    "teachers": [
        {"name": "cls", "objective": "classification", "backbone": "timm:test_resnet?pretrained=false"},
        {"name": "dino", "objective": "dino", "backbone": "timm:test_vit?pretrained=false&img_size=64"},
    ],
    "interaction": {"rounds": 1, "groups": 8},
    "views": {"size": 64},
    "training": {
        "epochs": 3, "batch": 8, "device_batch": 8, "lr": 1.0e-3, "warmup_epochs": 1, "weight_decay": 0.05,
        "betas": [0.9, 0.95], "clip_norm": 1.0, "precision": "fp32",
    },
}  # fmt: skip
ITEMS, ONE = 16 * 3, 2 * (96 + 96) + 2 * (64 + 64 * 2 * 2) + 8 * 4 + 8 + 6 * 8  # views, and bytes of each


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that name a recipe with stand-ins, and sixteen small pictures."""
    folder = tmp_path_factory.mktemp("input")
    (folder / "tiny.yaml").write_text(yaml.safe_dump(RECIPE))
    rng = np.random.default_rng(0)
    for index in range(16):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        coarse.resize((84, 60), Image.Resampling.BICUBIC).save(folder / f"{index:02}.png")
    return ["--recipe", str(folder / "tiny.yaml"), "--images", str(folder), "--device", "cpu"]


@pytest.fixture(scope="module")
def cache(base: list[str]) -> list[str]:
    """`umt teachers cache` of three views in small shards, but for --out."""
    return ["cache", *base, "--views", "3", "--shard", "5", "--batch-size", "2"]


@pytest.fixture(scope="module")
def finished(cache: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A cache that was made in one go, and what was printed."""
    folder = tmp_path_factory.mktemp("finished") / "cache"
    return folder, invoke(*cache, "--out", str(folder), "--yes")


def invoke(*arguments: str, answer: str | None = None) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(teachers, arguments, input=answer)


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("shard-*")}


def test_it_says_what_it_takes_before_it_starts(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    assert result.exit_code == 0, result.output
    assert f"48 views take 0.000 GB ({ITEMS * ONE} bytes) in 10 files, 0 of them there" in result.output
    assert "teacher cls: " in result.output
    assert f"--targets {folder}" in result.output
    headers = sum(8 + int.from_bytes(data[:8], "little") for data in shards(folder).values())
    assert sum(map(len, shards(folder).values())) - headers == ITEMS * ONE
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["visits"] == 3
    assert manifest["key"]["teachers"]["dino"]["grid"] == [2, 2]


def test_components_say_their_error(cache: list[str], tmp_path: Path) -> None:
    result = invoke(*cache, "--out", str(tmp_path / "cache"), "--yes", "--format", "pca")
    assert result.exit_code == 0, result.output
    assert re.search(r"dino\.features: squared error \d+\.\d% of its variance", result.output)
    size = int(re.search(r"\((\d+) bytes\)", result.output)[1])  # type: ignore[index]
    assert size == ITEMS * (2 * (96 + 96 + 64 + 64 * 2 * 2) // 8 + 8 * 4 + 8 + 6 * 8), "targets in an eighth of fp16"


def test_a_complete_cache_is_left_alone(finished: tuple[Path, Result], cache: list[str]) -> None:
    folder = finished[0]
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    result = invoke(*cache, "--out", str(folder))
    assert result.exit_code == 0, result.output
    assert "is complete" in result.output
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_the_first_name_of_batch_size_works_and_warns(
    finished: tuple[Path, Result], cache: list[str], tmp_path: Path
) -> None:
    words = ["--batch" if word == "--batch-size" else word for word in cache]
    with pytest.warns(FutureWarning, match="--batch goes with the next release: take --batch-size"):
        assert invoke(*words, "--out", str(tmp_path / "cache"), "--yes").exit_code == 0
    assert shards(tmp_path / "cache") == shards(finished[0])


@pytest.mark.parametrize("option", ["--targets", "--cache"])
def test_distilling_from_it_needs_no_teacher(
    finished: tuple[Path, Result], base: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    """Also by the name that the option had."""

    def refuse(teacher: Teacher, images: torch.Tensor) -> None:
        raise AssertionError(f"{teacher.name} was run on {len(images)} images")

    monkeypatch.setattr(Teacher, "__call__", refuse)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        distill_command.main([*base, option, str(finished[0]), "--out", str(tmp_path)], standalone_mode=False)
    said = [str(warning.message) for warning in caught if warning.category is FutureWarning]
    assert ("--cache goes with the next release: take --targets" in said) is (option == "--cache")
    checkpoint = read_checkpoint(tmp_path / "student.pth")
    assert [space.name for space in checkpoint.spaces] == ["cls", "dino"]
    assert checkpoint.provenance["data"]["views"] == 3


@pytest.mark.slow
def test_killed_and_started_again_it_writes_the_same_files(
    finished: tuple[Path, Result], cache: list[str], tmp_path: Path
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "umt.cli", "teachers", *cache, "--out", str(tmp_path), "--yes"],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None and not shards(tmp_path):
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = shards(tmp_path)
    assert 0 < len(before) < 10
    (tmp_path / ".partial-of-the-killed").touch()
    result = invoke(*cache, "--out", str(tmp_path), "--yes")
    assert result.exit_code == 0, result.output
    assert f"{len(before)} of them there" in result.output
    assert shards(tmp_path) == shards(finished[0])
    assert not list(tmp_path.glob(".partial-*"))


def test_it_asks_and_takes_no_for_an_answer(cache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = invoke(*cache, "--out", str(tmp_path))
    assert isinstance(result.exception, UMTError)
    assert "no terminal to ask on; add --yes to agree to this size" in str(result.exception)
    monkeypatch.setattr(teachers_cli, "_attended", lambda: True)
    assert invoke(*cache, "--out", str(tmp_path), answer="n\n").exit_code == 1
    assert not list(tmp_path.iterdir())
    assert invoke(*cache, "--out", str(tmp_path), answer="y\n").exit_code == 0
    assert len(shards(tmp_path)) == 10


def test_another_cache_in_the_folder_is_not_written_over(finished: tuple[Path, Result], cache: list[str]) -> None:
    result = invoke(*cache, "--out", str(finished[0]), "--views", "2", "--yes")
    assert isinstance(result.exception, UMTError)
    assert "visits: 3, now 2" in str(result.exception)


def test_two_processes_do_not_fill_one_cache(cache: list[str], tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        result = invoke(*cache, "--out", str(tmp_path), "--yes")
    assert isinstance(result.exception, UMTError)
    assert "another process is filling this cache" in str(result.exception)


def test_values_that_fp16_cannot_hold_are_named(
    cache: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = Teacher.__call__

    def loud(teacher: Teacher, images: torch.Tensor) -> object:
        targets = summary(teacher, images)
        if teacher.name == "dino" and len(images) > 1:
            targets.features[-1, 0, 1, 1] = 7e4
        return targets

    monkeypatch.setattr(Teacher, "__call__", loud)
    result = invoke(*cache, "--out", str(tmp_path), "--yes", "--views", "1")
    assert isinstance(result.exception, UMTError)
    assert "teacher 'dino': its features of" in str(result.exception)
    assert "01.png do not fit into fp16" in str(result.exception)
    assert not shards(tmp_path)


def test_check_shows_every_teacher_and_fails_where_one_is_not_there(base: list[str], tmp_path: Path) -> None:
    good = invoke("check", *base[:2])
    assert good.exit_code == 0, good.output
    for word in ("cls", "dino", "64 px", "96 and 96", "64 and 64"):
        assert word in good.output
    changes = ["--set", "teachers.dino.weights=vit.pth", "--set", "teachers.dino.source=ask its author"]
    bad = invoke("check", *base[:2], *changes, "--weights", str(tmp_path))
    assert bad.exit_code == 1
    assert "96 and 96" in bad.output
    assert f"teacher 'dino': weight file {tmp_path / 'vit.pth'} is not there; ask its author" in bad.output
    misfit = invoke("check", *base[:2], "--set", "teachers.dino.objective=clip")
    assert misfit.exit_code == 1
    assert "cannot have the objective clip" in misfit.output


def test_check_builds_the_pretrained_teachers_of_a_shipped_recipe() -> None:
    result = invoke("check", "--recipe", "mini-cnn-pypi")
    assert result.exit_code == 0, result.output
    assert result.output.count("1280 and 320") == 1  # Lite0
    assert result.output.count("1280 and 352") == 1  # Lite2
