"""The panels that dense tasks drew beside their results: a block for each task, a row for each image."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.suite.suite import Column
from reports.building.columns import comparable_columns
from reports.building.rows import model_names
from reports.results.measurement import Measurement
from umt.errors import first_line
from umt.files import component, read_plain
from umt.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO, TRUTH, PREDICTION = "image", "truth", "prediction"  # the tiles of a panel that a page shows
MAX_FILE_BYTES, MAX_PIXELS = 32 << 20, 1 << 26  # of a picture
MAX_TILES = 16  # of a panel
MAX_BACKBONES = 12  # beside each other
log = logging.getLogger(__name__)
COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True)
class Tile:
    """A picture as WebP, and the file that it was cut from."""

    title: str
    webp: bytes
    file: Path


@dataclass(frozen=True)
class PanelRow:
    """A test image: itself, its truth, and the prediction through each backbone."""

    name: str
    tiles: tuple[Tile, ...]
    legend: Mapping[str, str]  # colours as #rrggbb by their meaning


@dataclass(frozen=True)
class PanelBlock:
    """The images of a task; `name` is its anchor."""

    name: str
    title: str
    rows: tuple[PanelRow, ...]


@dataclass(frozen=True)
class StoredPanel:
    """A panel of a result: its tiles by name, and its legend."""

    file: Path
    tiles: Mapping[str, Image]
    legend: Mapping[str, str]


def panel_blocks(
    columns: Sequence[Column], measurements: Sequence[Measurement], shown_name: Callable[[str], str] = str
) -> list[PanelBlock]:
    """Return a block for each column whose results have panels; columns that share a job have one."""
    blocks: dict[Path, PanelBlock] = {}
    for column in comparable_columns(columns, measurements):
        runs = [run for run in column.measurements if "panels" in run.result.details]
        if runs and runs[0].path not in blocks:
            title = printable(f"Predictions: {column.heading}")
            blocks[runs[0].path] = PanelBlock(f"panels-{len(blocks) + 1}", title, tuple(_rows(runs, shown_name)))
    return [block for block in blocks.values() if block.rows]


def _rows(runs: Sequence[Measurement], shown_name: Callable[[str], str]) -> Iterator[PanelRow]:
    """Yield a row for each image that a backbone has a panel of."""
    panels = {name: dict(_panels(run)) for name, run in _first_seeds(runs).items()}
    for image in dict.fromkeys(chain.from_iterable(panels.values())):
        shown = {name: panels_of_run[image] for name, panels_of_run in panels.items() if image in panels_of_run}
        first = next(iter(shown.values()))
        tiles = [_tile(tile, tile, first) for tile in (PHOTO, TRUTH)]
        tiles += [_tile(shown_name(name), PREDICTION, panel) for name, panel in shown.items()]
        legend = {text: colour for panel in shown.values() for text, colour in panel.legend.items()}
        yield PanelRow(printable(image), tuple(tiles), legend)


def _first_seeds(runs: Sequence[Measurement]) -> dict[str, Measurement]:
    """Return the first seed of each backbone, by its name in tables."""
    names = model_names(run.model for run in runs)
    by_name = {names[run.model]: run for run in sorted(runs, key=lambda run: -run.key.seed)}
    return dict(sorted(by_name.items())[:MAX_BACKBONES])


def _panels(run: Measurement) -> Iterator[tuple[str, StoredPanel]]:
    """Yield the panels of a result by the name of the image; what is no panel is left out."""
    stated: Any = run.result.details["panels"]
    with suppress(TypeError, KeyError, AttributeError):
        tiles = list(stated["tiles"])
        for image, colours in stated["legends"].items():
            file = run.path.with_name(f"{component(f'{run.path.stem}--{image}')}.png")
            legend = {printable(text): colour for text, colour in colours.items() if COLOUR.fullmatch(colour)}
            cut: dict[str, Image] = {}
            with left_out(file):
                cut = _cut(file, tiles)
            if cut:
                yield image, StoredPanel(file, cut, legend)


@contextmanager
def left_out(file: Path) -> Iterator[None]:
    """Tell in a line that a picture cannot be read; say nothing of a missing one: a store may be copied without it."""
    try:
        yield
    except FileNotFoundError:
        pass
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        reason = getattr(error, "strerror", "") or first_line(error)
        log.warning("%s", printable(f"{file}: is left out of the page ({reason}); remove it"))


def _cut(file: Path, names: Sequence[str]) -> dict[str, Image]:
    """Return the tiles of a panel by name; they are equally wide."""
    if not {PHOTO, TRUTH, PREDICTION} <= set(names) or len(names) > MAX_TILES:
        raise ValueError("no panel")
    picture = stored_picture(file)
    width, height = picture.width // len(names), picture.height
    return {name: picture.crop((index * width, 0, (index + 1) * width, height)) for index, name in enumerate(names)}


def stored_picture(file: Path) -> Image:
    """Return the picture in a PNG file in RGB; ValueError if it is damaged or larger than any that this suite draws."""
    from PIL import Image

    content = read_plain(file, max_bytes=MAX_FILE_BYTES)
    try:
        picture = Image.open(BytesIO(content), formats=["PNG"])
        if picture.width * picture.height <= MAX_PIXELS:
            return picture.convert("RGB")
    except Exception as error:  # each kind of damage raises its own
        raise ValueError("cannot be decoded") from error
    raise ValueError(f"{picture.width}x{picture.height} pixels")


def _tile(title: str, name: str, panel: StoredPanel) -> Tile:
    return Tile(title, webp(panel.tiles[name], lossless=name != PHOTO), panel.file)


def webp(picture: Image, *, lossless: bool) -> bytes:
    """Return a picture as WebP; lossless for one whose colours have a meaning."""
    buffer = BytesIO()
    picture.save(buffer, format="WEBP", lossless=lossless, quality=80, method=4)
    return buffer.getvalue()
