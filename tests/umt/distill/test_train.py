"""Whole distillations through the command line: checkpoint, resume, several processes, and what stops them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from umt.backbones import create_backbone
from umt.backbones.checkpoint import read_checkpoint
from umt.distill.cli import distill_command
from umt.distill.recipe import load_recipe
from umt.distill.train import claim_folder
from umt.errors import UMTError
from umt.revision import revision
from umt.training.hooks.saving import RESUME_FILE

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
        "epochs": 10, "batch": 8, "device_batch": 8, "lr": 1.0e-3, "warmup_epochs": 1, "weight_decay": 0.05,
        "betas": [0.9, 0.95], "clip_norm": 1.0, "precision": "fp32",
    },
}  # fmt: skip
LONG = ("training.epochs=40", "ema=0.9")
Command = Callable[..., list[str]]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen small pictures."""
    return write_images(tmp_path_factory.mktemp("images"))


def write_images(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(16):
        coarse = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        coarse.resize((84, 60), Image.Resampling.BICUBIC).save(folder / f"{index:02}.png")
    return folder


@pytest.fixture(scope="module")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(yaml.safe_dump(RECIPE))
    return path


@pytest.fixture(scope="module")
def command(recipe_file: Path, images: Path) -> Command:
    """`umt distill` on the images, into a folder."""

    def make(out: Path, *more: str, images: Path = images) -> list[str]:
        arguments = ["distill", "--recipe", str(recipe_file), "--images", str(images), "--device", "cpu"]
        return [sys.executable, "-m", "umt.cli", *arguments, "--out", str(out), *more]

    return make


@pytest.fixture(scope="module")
def finished(command: Command, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a plain run, and what it printed."""
    folder = tmp_path_factory.mktemp("finished")
    done = run(command(folder))
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, timeout=300
    )


def weights(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = read_checkpoint(folder / "student.pth")
    assert checkpoint.interaction is not None
    return {
        **checkpoint.state_dict,
        **{f"i.{name}": value for name, value in checkpoint.interaction.state_dict.items()},
    }


def test_one_command_gives_a_checkpoint_with_its_heads(finished: tuple[Path, str], command: Command) -> None:
    folder, printed = finished
    for word in ("student", "teacher cls", "teacher dino", "interaction", "GMACs", "16 images, 20 steps of 8", "about"):
        assert word in printed
    path = folder / "student.pth"
    for tap in ("", "#cls", "#dino"):
        assert create_backbone(f"{path}{tap}")(torch.rand(1, 3, 64, 64)).pooled.isfinite().all()
    provenance = read_checkpoint(path).provenance
    assert provenance["data"]["images"] == 16
    assert provenance["recipe"]["training"]["epochs"] == 10
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert provenance["curve"]["step"] == [line["step"] for line in lines]
    assert provenance["curve"]["dino token"] == [line["dino token"] for line in lines]
    assert provenance["objectives"] == {"cls": "pooled_cosine", "dino": "patch_cosine"}
    assert provenance["code"]["commit"] == revision(Path(__file__).parent).commit
    assert provenance["losses"].keys() == {"cls", "dino"}
    for name, losses in provenance["losses"].items():
        assert losses == {part: pytest.approx(lines[-1][f"{name} {part}"]) for part in ("feature", "token")}
    assert lines[-1]["step"] == 20
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert {"cls token", "cls feature", "dino token", "dino feature"} <= lines[0].keys()
    assert any(folder.rglob("events.out.tfevents*"))
    distill_command.main(command(folder)[4:], standalone_mode=False)  # there is nothing to do any more
    assert len((folder / "log.jsonl").read_text().splitlines()) == len(lines)


BEYOND_THE_PAPER = (
    "alignment.balance=gradient",
    "alignment.shift=1",
    "alignment.student_sizes=[64, 96]",
    "alignment.teacher_drop=0.3",
    "alignment.relation=0.5",
    "alignment.standardise=mean_std",
    "alignment.token_weight=[[0, 1], [1, 0.1]]",
    "teachers.cls.summary_loss=angular",
)


def test_a_second_stage_begins_with_the_first_ones_weights(
    finished: tuple[Path, str], command: Command, tmp_path: Path
) -> None:
    """A step so small that nothing moves keeps the weights of the start, at a higher resolution than it had."""
    start = finished[0] / "student.pth"
    changes = (
        f"start={start}",
        "views.size=96",
        "training.lr=1e-30",
        "training.epochs=0.5",
        "training.warmup_epochs=0",
    )
    done = run(command(tmp_path, *(part for change in changes for part in ("--set", change))))
    assert done.returncode == 0, done.stderr
    before, after = weights(finished[0]), weights(tmp_path)
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert read_checkpoint(tmp_path / "student.pth").provenance["recipe"]["start"] == str(start)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("teachers.dino.name=dense", "has the spaces cls, dino, the recipe the teachers cls, dense"),
        ("student=timm:test_resnet", "the model"),
    ],
)
def test_a_start_that_does_not_fit_is_one_line(
    change: str, message: str, finished: tuple[Path, str], command: Command, tmp_path: Path
) -> None:
    changes = ("--set", f"start={finished[0] / 'student.pth'}", "--set", change)
    with pytest.raises(UMTError, match=message):
        distill_command.main(command(tmp_path, *changes)[4:], standalone_mode=False)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [(), BEYOND_THE_PAPER])
def test_killed_and_resumed_is_the_same_run_bit_for_bit(
    changes: tuple[str, ...], command: Command, tmp_path: Path
) -> None:
    slow = ["--save-every", "3", *(part for change in (*LONG, *changes) for part in ("--set", change))]
    whole = run(command(tmp_path / "whole", *slow))
    assert whole.returncode == 0, whole.stderr
    resumable = tmp_path / "killed" / RESUME_FILE
    for _ in range(2):
        process = subprocess.Popen(
            command(tmp_path / "killed", *slow), env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
        )
        before = resumable.stat().st_mtime_ns if resumable.is_file() else 0
        for _ in range(6000):
            if process.poll() is not None or (resumable.is_file() and resumable.stat().st_mtime_ns > before):
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert resumable.is_file()
    assert not (tmp_path / "killed" / "student.pth").exists()
    resumed = run(command(tmp_path / "killed", *slow))
    assert resumed.returncode == 0, resumed.stderr
    ours, theirs = weights(tmp_path / "killed"), weights(tmp_path / "whole")
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def torchrun(command: list[str]) -> list[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", str(port)]
    return [sys.executable, *launcher, *command[1:]]


def assert_close(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    for name, value in ours.items():
        assert torch.linalg.vector_norm(value - theirs[name]) <= 1e-5 * torch.linalg.vector_norm(theirs[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("parallel", ["ddp", "fsdp"])
def test_two_processes_train_as_one(
    parallel: str, finished: tuple[Path, str], command: Command, tmp_path: Path
) -> None:
    two = run(torchrun(command(tmp_path, "--set", "training.device_batch=4", "--parallel", parallel)))
    assert two.returncode == 0, two.stderr
    assert_close(weights(tmp_path), weights(finished[0]))
    assert two.stdout.count("wrote") == 1


@pytest.mark.slow
def test_accumulation_trains_as_one_large_batch(finished: tuple[Path, str], command: Command, tmp_path: Path) -> None:
    small = run(command(tmp_path, "--set", "training.device_batch=2"))
    assert small.returncode == 0, small.stderr
    assert_close(weights(tmp_path), weights(finished[0]))


def failure(command: list[str]) -> str:
    """The one line that a command fails with."""
    done = run(command)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line.startswith("umt: ")
    return line


@pytest.mark.slow
def test_a_diverging_loss_is_named_and_the_last_save_stays(command: Command, tmp_path: Path) -> None:
    wild = ("training.lr=1.0e+18", "training.clip_norm=null", "training.warmup_epochs=9")
    line = failure(command(tmp_path, "--save-every", "1", *(part for change in wild for part in ("--set", change))))
    assert "iteration" in line
    assert "token" in line or "feature" in line
    assert str(tmp_path / RESUME_FILE) in line
    state = torch.load(tmp_path / RESUME_FILE, weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.slow
def test_another_recipe_does_not_resume_in_the_same_folder(finished: tuple[Path, str], command: Command) -> None:
    line = failure(command(finished[0], "--set", "training.lr=0.5", "--set", "teachers.dino.objective=mae"))
    assert "training.lr: 0.001, now 0.5" in line
    assert "mae" in line
    assert "--out" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("views.size=70", "views.size 70 is not a multiple of 32, which the student needs; take 64"),
        ("interaction.groups=7", "not divisible by interaction.groups 7; nearest 63"),
        (
            "teachers.dino.objective=clip",
            "teacher 'dino': timm:test_vit?pretrained=false&img_size=64 cannot have the objective clip",
        ),
        ("teachers.dino.backbone=timm:no_such_model", "unknown timm model 'no_such_model'"),
        ("teachers.dino.weights=vit.pth", "weights/vit.pth is not there"),
        ("teachers.dino.name=cls", "teacher name 'cls' is listed twice"),
        ("training.device_batch=3", "batch 8 is not a multiple of device_batch 3"),
        ("training.precision=fp16", "fp16"),
        ("alignment.standardise=zscore", "unknown alignment.standardise 'zscore'"),
    ],
)
def test_a_mistake_in_a_recipe_is_one_line(change: str, message: str, command: Command, tmp_path: Path) -> None:
    arguments = command(tmp_path, "--set", change)[4:]
    with pytest.raises(UMTError) as error:
        distill_command.main(arguments, standalone_mode=False)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_images_that_cannot_be_decoded_are_listed_and_skipped_up_to_a_limit(command: Command, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    write_images(images)
    (images / "03.png").write_bytes(b"no image")
    done = run(command(tmp_path / "few", images=images))
    assert done.returncode == 0, done.stderr
    listed = (tmp_path / "few" / "skipped.txt").read_text().splitlines()
    assert len(listed) == 1
    assert "03.png" in listed[0]
    for index in range(12):
        (images / f"{index:02}.png").write_bytes(b"no image")
    line = failure(command(tmp_path / "many", images=images))
    assert "11 images cannot be decoded, more than the 10 that are skipped" in line
    assert "skipped.txt" in line


def test_a_folder_is_claimed_by_its_first_recipe(tmp_path: Path) -> None:
    recipe = load_recipe("mini-cnn-pypi")
    assert not claim_folder(tmp_path, recipe)
    assert not claim_folder(tmp_path, recipe)
    (tmp_path / "student.pth").touch()
    assert claim_folder(tmp_path, recipe)
    with pytest.raises(UMTError, match=r"views\.size: 96, now 64"):
        claim_folder(tmp_path, load_recipe("mini-cnn-pypi", ["views.size=64"]))
