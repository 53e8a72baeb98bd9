"""The matrix: each door for files times each kind of fault; docs/robustness.md shows it.

Every cell is a test here, a test elsewhere that is named, or a sentence why it cannot happen. A fault is injected for
real; it is named, or harmless as declared; nothing else is lost; and the mended file is read as before.
"""

from __future__ import annotations

import ast
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from matrix.cells import AsBefore, Cell, Door, Either, Elsewhere, LeftOut, Named
from matrix.doors import DOORS
from matrix.faults import FAULTS, Fault
from matrix.page import TESTS, cell, page

from umt.errors import UMTError

SECONDS = 20  # until a reading counts as hung
MEMORY = 1 << 29  # bytes that a reading of these small files may take, caches of libraries included
LIMIT = 4 << 30  # bytes beyond which the system refuses memory, to spare the machine
CASES = [
    pytest.param(door, fault, variant, id=f"{door.name}-{fault.name}-{variant}".replace(" ", "_"))
    for door in DOORS
    for fault in FAULTS
    for variant in fault.variants
    if isinstance(cell(door, fault, variant), (Named, AsBefore, LeftOut, Either))
]


@contextmanager
def watched() -> Iterator[None]:
    """Fail if the block hangs, or takes much memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    resource.setrlimit(resource.RLIMIT_DATA, (status("VmData") + LIMIT, hard))
    previous = signal.signal(signal.SIGALRM, hung)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    assert status("VmHWM") - before < MEMORY


def hung(*_: Any) -> None:
    raise TimeoutError(f"hung for {SECONDS} s")


def status(name: str) -> int:
    """Bytes of a field of this process's status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))


def restored(path: Path, content: bytes, facts: os.stat_result) -> None:
    """Put the sound file back."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


@pytest.mark.parametrize(("door", "fault", "variant"), CASES)
def test_a_fault_at_a_door(
    open_folder: Path, caplog: pytest.LogCaptureFixture, door: Door, fault: Fault, variant: str
) -> None:
    path = door.make(open_folder)
    sound, content, facts = door.read(path), path.read_bytes(), path.stat()
    expected = cell(door, fault, variant)
    harmless = outcomes_without_error(door, path, expected, sound)
    found, error = None, None
    caplog.clear()
    with watched(), fault.variants[variant](path) as damaged:
        try:
            found = door.read(damaged)
        except UMTError as caught:
            error = caught
    if error is None:
        assert not isinstance(expected, Named), "the fault went unnoticed"
        assert found in harmless
    else:
        assert not isinstance(expected, (AsBefore, LeftOut)), error
        assert str(error).isprintable()
        assert str(UMTError(damaged.name)) in str(error) or str(damaged.parent) in str(error)
    if isinstance(expected, LeftOut):
        lines = [record.getMessage() for record in caplog.records]
        assert bool(lines) == expected.told
        assert all(path.name in line or str(path.parent) in line for line in lines)
    damaged.unlink(missing_ok=True) if damaged != path else None
    restored(path, content, facts)
    assert door.read(path) == sound


def outcomes_without_error(door: Door, path: Path, expected: Cell, sound: Any) -> list[Any]:
    """Return what may be read without an error: the same as before, or what is read if there is no such file."""
    if not isinstance(expected, LeftOut) and not (isinstance(expected, Either) and expected.or_left_out):
        return [sound]
    elsewhere = path.rename(path.with_name("elsewhere"))
    absent = door.read(path)
    elsewhere.rename(path)
    assert absent != sound
    return [absent] if isinstance(expected, LeftOut) else [absent, sound]


def test_every_cell_is_a_test_or_a_sentence() -> None:
    for door in DOORS:
        for fault in FAULTS:
            for variant in fault.variants or [""]:
                assert cell(door, fault, variant).reason


def test_tests_elsewhere_are_there() -> None:
    for door in DOORS:
        for entry in door.cells.values():
            if isinstance(entry, Elsewhere):
                file, name = entry.test.split("::")
                tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
                assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, entry.test


def test_declared_cells_are_of_faults_that_there_are() -> None:
    known = {name for fault in FAULTS for name in (fault.name, *(f"{fault.name}/{one}" for one in fault.variants))}
    for door in DOORS:
        assert door.cells.keys() <= known


def test_the_page_is_generated() -> None:
    written = (TESTS.parent / "docs/robustness.md").read_text(encoding="utf-8")
    assert written == page(), "write it again: cd tests/faults && python -m matrix > ../../docs/robustness.md"
