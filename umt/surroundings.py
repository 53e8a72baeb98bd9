"""The surroundings of a process made fit for it: import path, an output that takes all text, a folder for sockets."""

from __future__ import annotations

import codecs
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path

from umt.errors import WriteError

MAX_SOCKET_FOLDER_BYTES = 75  # bytes: a socket's path has at most 107, and multiprocessing adds 32
SHORT_FOLDER = "/tmp"
SAFE_PATH = "PYTHONSAFEPATH"  # Python 3.11 and newer; children of children have it, too


@contextmanager
def safe_path() -> Iterator[None]:
    """Keep the current folder out of the import path of processes that start in the block.

    They import nothing from there, even if a file has the name of a module.
    """
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        del os.environ[SAFE_PATH]
        if before is not None:
            os.environ[SAFE_PATH] = before


def leave_current_folder() -> None:
    """Take the current folder off this process's own path, where `python -m` has put it; children would inherit it."""
    if not sys.flags.safe_path and sys.path and Path(sys.path[0] or ".").resolve() == Path.cwd():
        del sys.path[0]


def accept_all_text() -> None:
    """Let the output take every character: one that its encoding lacks becomes `?`, and a byte of no text its code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            unicode = codecs.lookup(stream.encoding).name.startswith("utf")
            stream.reconfigure(errors="backslashreplace" if unicode else "replace")


def shorten_socket_folder() -> None:
    """Put the sockets between processes elsewhere if TMPDIR is too long; UMTError if they can be nowhere."""
    try:
        folder = tempfile.gettempdir()
        if len(os.fsencode(folder)) > MAX_SOCKET_FOLDER_BYTES:
            _make_socket_folder(folder)
    except OSError as error:
        raise WriteError(
            f"TMPDIR {os.environ.get('TMPDIR', '')}: no folder for sockets ({error.strerror or error}); set TMPDIR "
            f"to a folder that can be written, with at most {MAX_SOCKET_FOLDER_BYTES} bytes in its path"
        ) from error


def _make_socket_folder(folder: str) -> None:
    """Let multiprocessing make its folder, which it keeps and hands on to all child processes."""
    from multiprocessing import util  # not needed by most commands

    tempfile.tempdir = SHORT_FOLDER
    try:
        util.get_temp_dir()
    finally:
        tempfile.tempdir = folder


def usable_cores() -> int:
    """Count the cores that this process may use: a cluster gives it some of the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
