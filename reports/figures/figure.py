"""A figure: the plain values that it shows, and its pictures, drawn only if these values have changed."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reports.figures import style
from umt.files import read_plain
from umt.text import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

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
    """`name` is the stem of its files; `pdf` has its fonts inside."""

    name: str
    title: str
    caption: str
    png: bytes
    pdf: bytes

    @property
    def files(self) -> dict[str, bytes]:
        """Contents by file name. The PNG comes last: if it is there, the PDF is that of the same drawing."""
        return {f"{self.name}.pdf": self.pdf, f"{self.name}.png": self.png}

    @property
    def data_uri(self) -> str:
        """The picture as a data URI, for a page that loads nothing."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def finished(sketch: Sketch, folder: Path) -> Figure:
    """Return the figure with the pictures in the folder if they show the same, else draw it anew."""
    pictures = _drawn_before(folder / sketch.name, sketch.digest)
    if pictures:
        return Figure(sketch.name, sketch.title, sketch.caption, *pictures)
    return rendered(sketch.name, sketch.title, sketch.caption, sketch.draw(sketch.shows), sketch.digest)


def rendered(name: str, title: str, caption: str, drawing: Drawing, source: str = "") -> Figure:
    """Render the figure of a drawing; equal drawings give equal bytes."""
    import matplotlib
    from matplotlib.text import Text

    with matplotlib.rc_context({"text.parse_math": False}):  # names are text, and may be no formulas
        for text in drawing.findobj(Text):
            text.set_parse_math(False)
            text.set_text("\n".join(map(printable, text.get_text().split("\n"))))
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")  # it is laid out: not once more for each format
        png, pdf = _saved(drawing, "png", {SOURCE: source}), _saved(drawing, "pdf", {"CreationDate": None})
    return Figure(name, title, caption, png, pdf)


def _drawn_before(stem: Path, digest: str) -> tuple[bytes, bytes] | None:
    """Return PNG and PDF of an earlier report if they show the same."""
    with suppress(OSError):
        png, pdf = (read_plain(stem.with_name(f"{stem.name}.{kind}"), max_bytes=MAX_BYTES) for kind in ("png", "pdf"))
        if f"tEXt{SOURCE}\0{digest}".encode() in png and png.endswith(PNG_END):
            return png, pdf
    return None


def _saved(drawing: Drawing, kind: str, metadata: dict[str, Any]) -> bytes:
    import matplotlib

    buffer = BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType: some publishers refuse the default, Type 3
        drawing.savefig(buffer, format=kind, dpi=150, bbox_inches="tight", metadata=metadata)
    return buffer.getvalue()
