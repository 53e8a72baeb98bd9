"""A finished figure: its pictures, ready for the page and for files of their own."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import matplotlib
from matplotlib.figure import Figure as Drawing


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
        """Contents by file name."""
        return {f"{self.name}.pdf": self.pdf, f"{self.name}.png": self.png}

    @property
    def data_uri(self) -> str:
        """The picture as the address of itself, for a page that loads nothing."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


def rendered(name: str, title: str, caption: str, drawing: Drawing) -> Figure:
    """The figure of a drawing; equal drawings give equal bytes."""
    return Figure(name, title, caption, _saved(drawing, "png"), _saved(drawing, "pdf"))


def _saved(drawing: Drawing, kind: str) -> bytes:
    buffer = BytesIO()
    stamps = {"CreationDate": None} if kind == "pdf" else {}
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType: some publishers refuse the default, Type 3
        drawing.savefig(buffer, format=kind, dpi=150, bbox_inches="tight", metadata=stamps)
    return buffer.getvalue()
