"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def atomic_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that takes its name only when it is complete and on disk; after an error it is gone."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".partial-", delete=False) as handle:
        try:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
            os.fchmod(handle.fileno(), 0o666 & ~_umask())  # a temporary file is for its owner's eyes only
        except BaseException:
            Path(handle.name).unlink()
            raise
    Path(handle.name).replace(path)


def _umask() -> int:
    """The process's own; asking for it means setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
