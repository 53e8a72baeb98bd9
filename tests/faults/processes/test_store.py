"""The files of a suite: two suites at once, damage, a clock that goes back, a folder that cannot be written."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.results import ResultStore
from umt.cli import cli
from umt.errors import UMTError

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def run(broken: Any, fault: str = "raise") -> dict[str, dict[str, float]]:
    """A run without a fault; its results."""
    broken.trap.unlink(missing_ok=True)
    status, said = broken.run(fault)
    assert status == 0, said
    results: dict[str, dict[str, float]] = broken.results()
    return results


@pytest.mark.slow
def test_two_suites_at_once_measure_once(broken: Any, wait_for: Callable[..., None]) -> None:
    """The other one is in the job when this one comes to it, and ends it after."""
    other = broken.start("wait")
    wait_for(lambda: broken.sprung)
    status, said = broken.run("wait")
    assert "another process is running this job" in said
    assert status == 1
    assert not broken.results()
    Path(f"{broken.trap}.go").touch()
    printed, _ = other.communicate(timeout=300)
    assert other.returncode == 0, printed
    assert len(list(ResultStore(broken.out / "results"))) == 1
    status, said = broken.run("wait")
    assert (status, "1 jobs: 1 done before, 0 to run" in said) == (0, True)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "one digit": lambda content: content.replace(b'"top5": 100.0', b'"top5": 120.0'),
    "empty": lambda content: b"",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_result_is_measured_again(damage: str, broken: Any) -> None:
    whole = run(broken)
    (path,) = ResultStore(broken.out / "results").paths()
    content = path.read_bytes()
    path.write_bytes(DAMAGE[damage](content))
    assert path.read_bytes() != content
    assert run(broken) == whole


@pytest.mark.slow
@pytest.mark.parametrize("years", [-60, 60])
def test_a_clock_that_jumps_changes_nothing(years: int, broken: Any) -> None:
    """All files are from the far future, or from before 1970."""
    whole = run(broken)
    for path in broken.out.rglob("*"):
        os.utime(path, (time.time() + years * 365 * 86400,) * 2)
    status, said = broken.run("raise")
    assert (status, "1 done before, 0 to run" in said) == (0, True)
    for path in ResultStore(broken.out / "results").paths():
        path.unlink()
    before = {path: path.read_bytes() for path in (broken.out / "cache").glob("*.npy")}
    assert run(broken) == whole
    assert {path: path.read_bytes() for path in (broken.out / "cache").glob("*.npy")} == before


def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(broken: Any) -> None:
    """Also by root, who may write everywhere but for this capability, which the command does without."""
    broken.out.mkdir()
    broken.out.chmod(0o555)
    command = [sys.executable, "-m", "umt.cli", *broken.command("raise")]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=_without_override, timeout=300)
    assert done.returncode == 2
    line = f"umt: {broken.out}: cannot be written (Permission denied); name another --out"
    assert done.stderr == f"{line} [UMT-WRITE: docs/troubleshooting.md]\n"
    assert not list(broken.out.iterdir())
    broken.out.chmod(0o755)
    assert run(broken)


def test_a_folder_below_a_file_is_named(broken: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    status, said = broken.run("raise", "--out", str(tmp_path / "file" / "out"))
    assert (status, said) == (
        2,
        f"{tmp_path / 'file' / 'out'}: cannot be written (Not a directory); name another --out",
    )


def test_a_full_disk_keeps_the_tables_of_before(broken: Any) -> None:
    run(broken)
    tables = {path: path.read_bytes() for path in (broken.out / "tables").iterdir()}
    command = ["report", "--results", str(broken.out / "results"), "--suite", str(broken.folder / "faults.yaml")]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        done = CliRunner().invoke(cli, command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(done.exception, UMTError)
    assert "cannot be written (File too large); the file before it is kept; free some space" in str(done.exception)
    assert {path: path.read_bytes() for path in (broken.out / "tables").iterdir()} == tables
    assert CliRunner().invoke(cli, command).exit_code == 0


def _without_override() -> None:
    if os.geteuid() == 0:
        assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0) == 0
