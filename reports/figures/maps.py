"""The maps of tokens that `umt analyze pca|cosine` left in a folder of the run, as `--out OUT/NAME`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reports.figures.panels import MAX_FILE_BYTES, MAX_PIXELS, stored_picture, webp
from umt.files import read_plain, visible_entries
from umt.text import printable

TITLES = {"pca": "Principal components of the tokens", "cosine": "Cosine of the tokens with the summary token"}
MAX_WIDTH = 1600  # pixels on a page


@dataclass(frozen=True)
class MapSheet:
    """A sheet of maps as WebP; `name` is its anchor."""

    name: str
    title: str
    caption: str
    webp: bytes
    file: Path


def map_sheets(run: Path) -> list[MapSheet]:
    """Return the sheets in folders directly below a run, in order of their names; what is no sheet is left out."""
    with suppress(OSError):
        folders = [Path(entry) for entry in visible_entries(run) if entry.is_dir(follow_symlinks=False)]
        candidates = ((folder, kind) for folder in folders for kind in TITLES if (folder / f"{kind}.json").is_file())
        return [sheet for number, (folder, kind) in enumerate(candidates, 1) for sheet in _sheet(folder, kind, number)]
    return []


def _sheet(folder: Path, kind: str, number: int) -> Iterator[MapSheet]:
    with suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
        stated = json.loads(read_plain(folder / f"{kind}.json", max_bytes=MAX_FILE_BYTES))
        file = folder / f"{kind}.png"
        picture = stored_picture(file)
        picture.thumbnail((MAX_WIDTH, MAX_PIXELS))
        title = TITLES[kind] if folder.name == kind else printable(f"{TITLES[kind]}: {folder.name}")
        yield MapSheet(f"maps-{number}", title, printable(str(stated["caption"])), webp(picture, lossless=False), file)
