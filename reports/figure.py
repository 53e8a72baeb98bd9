"""A finished figure, ready for the page and for files of its own."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO

import matplotlib
from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Figure:
    """`name` is the stem of its files."""

    name: str
    title: str
    caption: str
    drawing: Drawing

    def rendered(self, kind: str) -> bytes:
        """The bytes of a 'png' or a 'pdf' with its fonts inside."""
        buffer = BytesIO()
        stamps = {"CreationDate": None} if kind == "pdf" else {}  # equal results give equal files
        with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType: some publishers refuse the default, Type 3
            self.drawing.savefig(buffer, format=kind, dpi=150, bbox_inches="tight", metadata=stamps)
        return buffer.getvalue()

    @property
    def data_uri(self) -> str:
        """The picture as the address of itself, for a page that loads nothing."""
        return f"data:image/png;base64,{b64encode(self.rendered('png')).decode()}"
