"""The folder of an export: written whole or not at all, and never in place of somebody else's files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from umt.declarations import read_json
from umt.errors import UMTError, WriteError
from umt.files import umask

MARK = "export.json"  # the exported backbone, and the names of the files; it marks a folder as an export


@contextmanager
def export_folder(out: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """Yield a folder to fill that takes the name `out` if the block ends well; an earlier export there is replaced.

    Raises UMTError if `out` holds anything else, or cannot be written.
    """
    _refuse_foreign(out)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=".partial-") as room:
            folder = Path(room) / out.name
            folder.mkdir()
            yield folder
            files = sorted([*(path.name for path in folder.iterdir()), MARK])
            for path in folder.iterdir():
                path.chmod(0o666 & ~umask())  # some libraries write for the eyes of the owner only
            (folder / MARK).write_text(json.dumps({**about, "files": files}, indent=1), encoding="utf-8")
            if out.exists():
                shutil.rmtree(out)
            folder.rename(out)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written ({error.strerror or error}); choose another --out") from error


def _refuse_foreign(out: Path) -> None:
    if not out.exists():
        return
    if not out.is_dir():
        raise WriteError(f"{out}: is a file; choose another --out")
    strangers = sorted({path.name for path in out.iterdir()} - _own_files(out / MARK))
    if strangers:
        raise WriteError(f"{out}: holds '{strangers[0]}', which no export put there; choose another --out")


def _own_files(mark: Path) -> set[str]:
    try:
        return set(read_json(mark, "a mark", "remove it", links=False)["files"])
    except (OSError, UMTError, KeyError, TypeError):
        return set()
