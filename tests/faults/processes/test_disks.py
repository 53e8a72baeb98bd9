"""Disks as the system gives them: one that is read-only, and one of a megabyte that runs full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.cli import cli
from umt.errors import UMTError, WriteError

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a disk in memory with such options; skips where this process may not."""
    mounted: list[Path] = []

    def make(options: str) -> Path:
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if sys.platform != "linux" or os.geteuid():
        pytest.skip("disks are mounted by root on Linux")
    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def said(*command: str) -> tuple[int, str]:
    """Exit status and what the command said."""
    done = CliRunner().invoke(cli, command)
    if isinstance(done.exception, UMTError):
        return 2, str(done.exception)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_a_run_names_a_read_only_disk_before_anything_runs(mount: Mount, broken: Any) -> None:
    disk = mount("ro,size=1m")
    status, line = broken.run("raise", "--out", str(disk))
    assert (status, line) == (2, f"{disk}: cannot be written (Read-only file system); name another --out")
    assert not broken.sprung
    remount(disk, "rw,size=8m")
    broken.trap.unlink()
    assert broken.run("raise", "--out", str(disk))[0] == 0


def test_a_distillation_does_too(mount: Mount, image_folder: Callable[..., Path], tmp_path: Path) -> None:
    disk = mount("ro,size=1m")
    command = ["distill", "--recipe", "mini-cnn", "--images", str(image_folder(tmp_path / "data")), "--device", "cpu"]
    status, line = said(*command, "--out", str(disk / "run"))
    assert (status, line) == (2, f"{disk / 'run'}: cannot be written (Read-only file system); name another --out")


def test_a_report_does_too(mount: Mount, broken: Any) -> None:
    broken.trap.unlink()
    assert broken.run("raise")[0] == 0
    disk = mount("ro,size=1m")
    command = ["report", "--results", str(broken.out / "results"), "--suite", str(broken.folder / "faults.yaml")]
    status, line = said(*command, "--out", str(disk / "tables"))
    assert (status, line) == (2, f"{disk / 'tables'}: cannot be written (Read-only file system); name another --out")
    remount(disk, "rw,size=8m")
    assert said(*command, "--out", str(disk / "tables"))[0] == 0


def test_a_preparation_does_too(mount: Mount, image_folder: Callable[..., Path], tmp_path: Path) -> None:
    disk = mount("ro,size=1m")
    origin = image_folder(tmp_path / "imagenet")
    status, line = said("data", "prepare", "imagenet", "--from", str(origin), "--data-root", str(disk))
    assert (status, line) == (2, f"{disk}: cannot be written (Read-only file system); name another --data-root")


def test_a_result_that_a_full_disk_refuses(mount: Mount, broken: Any, tmp_path: Path) -> None:
    """Leave a page of the disk: enough for the log, not for a result."""
    broken.trap.unlink()
    assert broken.run("raise")[0] == 0
    whole = broken.results()
    disk = mount("size=1m")
    filled = fill(disk, leave=4 << 10)
    command = ["raise", "--out", str(disk), "--cache", str(tmp_path / "cache")]
    status, line = broken.run(*command)
    assert status == 1, line
    assert "cannot be written (No space left on device)" in line
    assert not list((disk / "results").rglob("*.json"))
    assert not list(disk.rglob(".partial-*"))
    filled.unlink()
    assert broken.run(*command)[0] == 0
    records = [json.loads(path.read_text()) for path in (disk / "results").glob("*/*.json")]
    assert {record["key"]["backbone"]: record["metrics"] for record in records} == whole


def test_a_checkpoint_that_a_full_disk_refuses(mount: Mount) -> None:
    """The one of before stays."""
    disk = mount("size=1m")
    student = create_backbone("timm:test_vit?pretrained=false&depth=1")
    save_checkpoint(disk / "ckpt.pth", student)
    before = (disk / "ckpt.pth").read_bytes()
    filled = fill(disk, leave=len(before) // 2)
    with torch.no_grad():
        next(student.parameters()).add_(1)
    with pytest.raises(WriteError, match=r"ckpt\.pth: cannot be written \(No space left on device\); the file before"):
        save_checkpoint(disk / "ckpt.pth", student)
    assert {path: path.read_bytes() for path in disk.iterdir() if path != filled} == {disk / "ckpt.pth": before}
    filled.unlink()
    save_checkpoint(disk / "ckpt.pth", student)
    assert create_backbone(str(disk / "ckpt.pth")).weights_hash() == student.weights_hash()


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves so many bytes of a disk."""
    free = os.statvfs(disk)
    (path := disk / "filling").write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - leave)))
    return path
