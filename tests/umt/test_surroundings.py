"""The surroundings of a process: its output, and the folder of its sockets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(code: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    variables = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, env=variables)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_every_encoding_takes_every_text(encoding: str) -> None:
    code = "from umt.surroundings import accept_all_text as a; a(); print('Blatt \\u2603 \\udcff')"
    done = run(code, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Blatt ")


def test_sockets_lie_elsewhere_if_tmpdir_is_too_long(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    code = (
        "import tempfile; from multiprocessing import util; from umt.surroundings import shorten_socket_folder as s; "
        "s(); print(util.get_temp_dir()); print(tempfile.gettempdir())"
    )
    done = run(code, TMPDIR=str(deep))
    sockets, files = done.stdout.decode().split()
    assert len(sockets) < 75
    assert files == str(deep), "other files stay where the user wants them"
