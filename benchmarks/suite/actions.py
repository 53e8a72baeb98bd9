"""Actions of a suite beside its jobs: distil a student, compare it with its teachers by CKA.

A suite names the actions; all their paths are chosen here, below OUT.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.suite.suite import CkaRun, StudentRun
from umt.backbones.spec import BackboneName
from umt.errors import ProcessError
from umt.files import below, component
from umt.safe_path import safe_path


def student_file(student: StudentRun, out: Path) -> Path:
    """Return the path of a student's checkpoint, which may not exist yet."""
    return below(out, "students", component(student.label, "-").lower(), "student.pth")


def distil_command(
    student: StudentRun, data_root: Path, out: Path, trust: Sequence[str], *, wandb: bool = False
) -> list[str]:
    """Return the `umt` command that trains a student; finished, it returns at once."""
    changes = [part for change in student.changes for part in ("--set", change)]
    trusted = [part for file in trust for part in ("--trust", file)]
    curves = ["--wandb"] if wandb else []
    folders = ["--data-root", str(data_root), "--out", str(student_file(student, out).parent)]
    return ["distill", "--recipe", student.recipe, *changes, *trusted, *curves, *folders]


def cka_command(run: CkaRun, backbone: BackboneName, data_root: Path, out: Path) -> list[str]:
    """Return the `umt` command that compares a checkpoint with its teachers, for table 6."""
    settings = ["--data", run.dataset, "--limit", str(run.limit), "--resolution", str(run.resolution)]
    places = ["--data-root", str(data_root), "--results", str(out / "results"), "--out", str(out / "cka")]
    return ["analyze", "cka", "--teachers", *settings, *places, "--", f"{backbone.label}={backbone.spec}"]


def run_command(arguments: list[str]) -> None:
    """Run a `umt` command in its own process, which may use all cores and shows its progress itself.

    Raises ProcessError if it fails.
    """
    with safe_path():
        status = subprocess.run([sys.executable, "-m", "umt.cli", *arguments]).returncode
    if status:
        raise ProcessError(
            f"`umt {' '.join(arguments)}` ended with exit status {status}; the same command goes on there"
        )
