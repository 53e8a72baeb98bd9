"""Write the files of a report or an analysis, all below one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from umt.console import Console
from umt.errors import WriteError
from umt.files import atomic_file


def write_files(contents: Mapping[str, bytes], out: Path, console: Console, page: str = "") -> None:
    """Write the contents by name below `out`, and print the paths, or if they have a page, the path of it alone.

    Raises UMTError if they cannot be written.
    """
    try:
        for name, content in contents.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(out / name) as handle:
                handle.write(content)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    if page:
        console.print(f"{len(contents)} files in {out}", soft_wrap=True, highlight=False, markup=False)
        console.print(f"open {out / page}", soft_wrap=True, highlight=False, markup=False)
        return
    for name in contents:
        console.print(out / name, soft_wrap=True, highlight=False, markup=False)
