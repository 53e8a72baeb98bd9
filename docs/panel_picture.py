"""Draw the README's picture of panels: a rendered room for each dense task of a run, its truth, and the predictions."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

from PIL import Image

from benchmarks.suite.suite import load_suite
from reports.figures.panels import PanelRow, panel_blocks
from reports.figures.style import drawing_canvas
from reports.results.store import read_measurements

ROOM = "room"  # begins the name of a rendered image; the others of the embedded depth set are photographs
WIDTH, HEIGHT = 9.0, 1.85  # inches of the picture, and of a row
DOTS = 100  # an inch


def draw(run: Path, picture: Path) -> None:
    """Write the picture of a run of the embedded example as WebP."""
    blocks = panel_blocks(load_suite("mini").columns, read_measurements(run / "results"))
    rows = [next(row for row in block.rows if row.name.startswith(ROOM)) for block in blocks]
    canvas = drawing_canvas(WIDTH, HEIGHT * len(rows))
    grid = canvas.subplots(len(rows), len(rows[0].tiles), squeeze=False)
    for number, (line, row) in enumerate(zip(grid, rows, strict=True)):
        _draw_row(line, row, titled=number == 0)
    buffer = BytesIO()
    canvas.savefig(buffer, dpi=DOTS)
    Image.open(buffer).convert("RGB").save(picture, quality=80)


def _draw_row(line: list, row: PanelRow, *, titled: bool) -> None:
    for axes, tile in zip(line, row.tiles, strict=True):
        axes.imshow(Image.open(BytesIO(tile.webp)))
        axes.set_axis_off()
        axes.set_title(tile.title if titled else "", fontsize=9)


draw(Path(sys.argv[1]), Path(sys.argv[2]))
