"""Fixtures that several folders share."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from umt.errors import UMTError


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data; tests that need it are skipped where it is not set."""
    folder = os.environ.get("UMT_REAL_DATA")
    if not folder:
        pytest.skip("UMT_REAL_DATA is not set: no real data here")
    return Path(folder)


@pytest.fixture(scope="session")
def outcome() -> Callable[[Callable[[], object]], None]:
    """Checks that reading gives something, or a UMTError of one line without control characters."""

    def check(read: Callable[[], object]) -> None:
        message = ""
        try:
            read()
        except UMTError as error:
            message = str(error)
        assert message.isprintable()

    return check


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """Waits until a condition holds, and fails when it never does."""

    def wait(condition: Callable[[], object], seconds: float = 300) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.05)

    return wait


@pytest.fixture(scope="session")
def processes_mentioning() -> Callable[[str], list[int]]:
    """Finds processes that hold a file below a path open, as workers and jobs hold their logs."""

    def find(text: str) -> list[int]:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                if any(text in str(link.readlink()) for link in (folder / "fd").iterdir()):
                    found.append(int(folder.name))
        return found

    return find


@pytest.fixture
def image_folder() -> Callable[..., Path]:
    """Writes an ImageNet-style folder of noise images whose mean brightness is 40 x (class + 1)."""

    def write(root: Path, classes: int = 2, train: int = 4, val: int = 2, side: int = 32) -> Path:
        rng = np.random.default_rng(0)
        for split, count in (("train", train), ("val", val)):
            for label in range(classes):
                folder = root / split / f"n{label:08d}"
                folder.mkdir(parents=True)
                for index in range(count):
                    pixels = rng.integers(-20, 20, (side, side, 3)) + 40 * (label + 1)
                    Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{index}.png")
        return root

    return write


@pytest.fixture(scope="session")
def make_special() -> Callable[[Path, str], None]:
    """Makes a path something else than a plain file: a pipe, a folder, a device, a link, or a link to itself."""

    def make(path: Path, kind: str) -> None:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "loop":
            path.symlink_to(path)
        else:
            path.with_suffix(".target").write_bytes(b"target")
            path.symlink_to(path.with_suffix(".target"))

    return make


WANDB = """
RUNS = []

class Run:
    def __init__(self, **options):
        self.options, self.logged, self.finished = options, [], False
        RUNS.append(self)

    def log(self, scalars, step):
        self.logged.append((step, scalars))

    def finish(self):
        self.finished = True

init = Run
"""


@pytest.fixture
def wandb(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package `wandb` that remembers what it is given."""
    folder = tmp_path_factory.mktemp("wandb")
    (folder / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    import wandb

    yield wandb
    del sys.modules["wandb"]
