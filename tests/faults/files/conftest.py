"""A folder that every user may enter."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder whose parents everybody may enter and write, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="umt-matrix-", dir="/tmp") as made:
        Path(made).chmod(0o777)
        inner = Path(made) / "files"
        inner.mkdir()
        yield inner
