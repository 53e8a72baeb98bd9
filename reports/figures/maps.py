"""The maps of tokens that `umt analyze pca|cosine` left in a folder of the run, as `--out OUT/NAME`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from reports.figures.panels import MAX_FILE_BYTES, MAX_PIXELS, left_out, stored_picture, webp
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
    folders = list[Path]()
    with suppress(OSError):
        folders = [Path(entry) for entry in visible_entries(run) if entry.is_dir(follow_symlinks=False)]
    sheets = [sheet for folder in folders for kind in TITLES if (sheet := _sheet(folder, kind))]
    return [replace(sheet, name=f"maps-{number}") for number, sheet in enumerate(sheets, 1)]


def _sheet(folder: Path, kind: str) -> MapSheet | None:
    with left_out(folder / f"{kind}.json"):
        record = read_plain(folder / f"{kind}.json", max_bytes=MAX_FILE_BYTES)
        caption = printable(str(json.loads(record)["caption"]))
        with left_out(folder / f"{kind}.png"):
            picture = stored_picture(folder / f"{kind}.png")
            picture.thumbnail((MAX_WIDTH, MAX_PIXELS))
            title = TITLES[kind] if folder.name == kind else printable(f"{TITLES[kind]}: {folder.name}")
            return MapSheet("", title, caption, webp(picture, lossless=False), folder / f"{kind}.png")
    return None
