"""A figure: the plain values that it shows, and its pictures, drawn only if these values have changed.

A picture that a page shows has values under the pointer: `hover` and `hover_line` write them into its SVG.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from reports.figures import style
from umt.files import read_plain
from umt.text import printable

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

A = TypeVar("A", bound="Artist")
HOVER = "hover "  # begins the name, in an SVG, of a part with values
KINDS = ("pdf", "svg", "png")  # of picture files
SOURCE = "Source"  # the text field of a PNG that holds the digest of its values
MAX_BYTES = 64 << 20  # size of a picture file
PNG_END = b"IEND\xaeB`\x82"


@dataclass(frozen=True)
class Sketch:
    """A figure that is not drawn yet; `shows` is JSON, and the only input of `draw`."""

    name: str
    title: str
    caption: str
    draw: Callable[[Any], Drawing]
    shows: Any

    @property
    def digest(self) -> str:
        """The hash of the values that it shows and of the code that draws it."""
        code = [
            Path(file).read_text(encoding="utf-8")
            for file in (self.draw.__code__.co_filename, style.__file__, __file__)
        ]
        content = json.dumps([self.shows, code, version("matplotlib")])
        return sha256(content.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Figure:
    """`name` is the stem of its files; `pdf` has its fonts inside, and `svg` is empty for a sheet of images."""

    name: str
    title: str
    caption: str
    pdf: bytes
    svg: bytes
    png: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """Contents by file name. The PNG comes last: if it is there, the others are those of the same drawing."""
        contents = zip(KINDS, (self.pdf, self.svg, self.png), strict=True)
        return {f"{self.name}.{kind}": content for kind, content in contents if content}


def finished(sketch: Sketch, folder: Path) -> Figure:
    """Return the figure with the pictures in the folder if they show the same, else draw it anew."""
    pictures = _drawn_before(folder / sketch.name, sketch.digest)
    if pictures:
        return Figure(sketch.name, sketch.title, sketch.caption, *pictures)
    return rendered(sketch.name, sketch.title, sketch.caption, sketch.draw(sketch.shows), sketch.digest)


def hover(artist: A, text: str) -> A:
    """Show a text when the pointer is on a part of a drawing."""
    artist.set_gid(f"{HOVER}{json.dumps({'text': printable(text)})}")
    return artist


def hover_line(artist: A, name: str) -> A:
    """Show the name of a line, and its values where the pointer is."""
    artist.set_gid(f"{HOVER}{json.dumps({'line': printable(name)})}")
    return artist


def rendered(name: str, title: str, caption: str, drawing: Drawing, source: str = "", *, vector: bool = True) -> Figure:
    """Render the figure of a drawing; equal drawings give equal bytes.

    vector: with an SVG, for a page; images in it would be larger than in the PNG.
    """
    import matplotlib
    from matplotlib.text import Text

    with matplotlib.rc_context({"text.parse_math": False}):  # names are text, and may be no formulas
        for text in drawing.findobj(Text):
            text.set_parse_math(False)
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")  # it is laid out: not once more for each format
        png, pdf = _saved(drawing, "png", {SOURCE: source}), _saved(drawing, "pdf", {"CreationDate": None})
        for axes in drawing.axes:
            _say_scale(axes)
        svg = _saved(drawing, "svg", {"Date": None}) if vector else b""
    return Figure(name, title, caption, pdf, svg, png)


def _say_scale(axes: Axes) -> None:
    """Write the ends of the axes into the SVG, from which a page computes the values of lines."""
    scale = {
        "x": axes.get_xlim(),
        "y": axes.get_ylim(),
        "log": [axes.get_xscale() == "log", axes.get_yscale() == "log"],
    }
    if any((line.get_gid() or "").startswith(HOVER) for line in axes.lines):
        axes.set_gid(f"{HOVER}{json.dumps(scale)}")


def _drawn_before(stem: Path, digest: str) -> list[bytes] | None:
    """Return the pictures of an earlier report, in the order of `KINDS`, if they show the same."""
    with suppress(OSError):
        pictures = [read_plain(stem.with_name(f"{stem.name}.{kind}"), max_bytes=MAX_BYTES) for kind in KINDS]
        if f"tEXt{SOURCE}\0{digest}".encode() in pictures[-1] and pictures[-1].endswith(PNG_END):
            return pictures
    return None


def _saved(drawing: Drawing, kind: str, metadata: dict[str, Any]) -> bytes:
    import matplotlib

    buffer = BytesIO()
    # TrueType: some publishers refuse the default, Type 3; an SVG has text as text, and the same names each time
    with matplotlib.rc_context({"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "umt"}):
        drawing.savefig(buffer, format=kind, dpi=150, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()
