"""A drawing as SVG inside a page: nothing in it runs or loads, and it takes the page's colours."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from xml.etree import ElementTree as ET

from markupsafe import Markup

from reports.figures.figure import HOVER

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
ELEMENTS = {"svg", "g", "path", "text", "tspan", "use", "defs", "clipPath", "pattern", "rect", "circle"}
SHAPE = {"d", "x", "y", "width", "height", "viewBox", "transform", "r", "cx", "cy", "id", "patternUnits"}
ATTRIBUTES = SHAPE | {"clip-path", "style", "fill", "stroke"}
REFERENCE = re.compile(r"url\(#([\w.-]+)\)")
COLOURS = {"#000000": "currentColor", "#ffffff": "var(--page)"}  # those of the paper; the others stay
SCALE = 2.0  # pixels of a screen for a point of paper
HOVER_FIELDS = ("text", "line", "x", "y", "log")

ET.register_namespace("", SVG[1:-1])


def inline_svg(content: bytes, name: str, title: str) -> Markup:
    """Return a drawing of matplotlib as an element of a page; `name` sets its names apart from other drawings'."""
    source = ET.fromstring(content)
    root = _clean(source, name, {word for part in source.iter() for word in _references(part)})
    root.attrib |= {"role": "img", "aria-label": title}
    root.attrib.pop("height", None)
    root.attrib["width"] = f"{float(root.attrib.get('viewBox', '0 0 495 0').split()[2]) * SCALE:.0f}"
    return Markup(ET.tostring(root, encoding="unicode"))


def _references(part: ET.Element) -> list[str]:
    """Return the names that an element refers to."""
    names = REFERENCE.findall(" ".join(part.attrib.values()))
    return [*names, part.attrib[HREF].removeprefix("#")] if HREF in part.attrib else names


def _clean(part: ET.Element, name: str, used: set[str]) -> ET.Element:
    """Return a copy with the elements and attributes of drawings alone."""
    copy = ET.Element(part.tag, _attributes(part, name, used))
    copy.text, copy.tail = (text.strip("\n ") if text else None for text in (part.text, part.tail))
    copy.extend(_clean(child, name, used) for child in part if str(child.tag).removeprefix(SVG) in ELEMENTS)
    return copy


def _attributes(part: ET.Element, name: str, used: set[str]) -> dict[str, str]:
    known = {key: _adapted(value, name) for key, value in part.attrib.items() if key in ATTRIBUTES}
    identifier = known.pop("id", "")
    if identifier in used:
        known["id"] = f"{name}-{identifier}"
    if part.attrib.get(HREF, "").startswith("#"):
        known["href"] = f"#{name}-{part.attrib[HREF][1:]}"
    return known | _hover(part.attrib.get("id", ""))


def _hover(text: str) -> dict[str, str]:
    """Return the values that the page shows under the pointer, as attributes."""
    with suppress(ValueError):
        values = json.loads(text.removeprefix(HOVER)) if text.startswith(HOVER) else {}
        shown = {key: values[key] for key in HOVER_FIELDS if key in values}
        return {f"data-{key}": value if isinstance(value, str) else json.dumps(value) for key, value in shown.items()}
    return {}


def _adapted(value: str, name: str) -> str:
    """Return an attribute with names of this drawing and colours of the page."""
    value = REFERENCE.sub(rf"url(#{name}-\1)", value)
    for colour, ours in COLOURS.items():
        value = value.replace(colour, ours)
    return value
