"""Files of an analysis: pictures as PDF and PNG, numbers as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reports.figures.figure import Figure
from umt.errors import WriteError
from umt.files import atomic_file


def write_analysis(out: Path, name: str, record: Mapping[str, Any], figures: Sequence[Figure]) -> list[Path]:
    """Write `NAME.json` and each figure twice below `out`, and return the files. UMTError if they cannot be written."""
    contents = {f"{name}.json": json.dumps(record, indent=1, allow_nan=False).encode()}
    for figure in figures:
        contents |= figure.files
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, content in contents.items():
            with atomic_file(out / file) as handle:
                handle.write(content)
    except OSError as error:
        raise WriteError(f"{out}: cannot be written ({error.strerror}); choose another --out") from error
    return [out / file for file in contents]
