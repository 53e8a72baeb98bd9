"""Archives in the structure of the official ones, a few images each."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress


@pytest.fixture
def progress() -> Progress:
    return Progress(disable=True)


@pytest.fixture
def picture() -> bytes:
    """A JPEG of noise."""
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)).save(out, "jpeg")
    return out.getvalue()


@pytest.fixture
def make_tar() -> Callable[..., Path]:
    """Writes a tar (or tar.gz, by its name) of files given as bytes."""

    def make(path: Path, files: Mapping[str, bytes]) -> Path:
        path.write_bytes(tar_bytes(files, "gz" if path.name.endswith("gz") else ""))
        return path

    return make


@pytest.fixture
def make_zip() -> Callable[..., Path]:
    """Writes a zip of files given as bytes."""

    def make(path: Path, files: Mapping[str, bytes]) -> Path:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path

    return make


@pytest.fixture
def tar_of() -> Callable[..., bytes]:
    """A tar of files as bytes."""
    return tar_bytes


def tar_bytes(files: Mapping[str, bytes], compression: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
