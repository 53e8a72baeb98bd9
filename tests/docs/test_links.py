"""Links of the documents lead somewhere, and so do paths of folders; the code blocks are run in test_blocks.py."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"))


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_paths_in_the_pages_for_contributors_are_there() -> None:
    for page in ("CONTRIBUTING.md", "docs/architecture.md", "docs/decisions.md"):
        for path in re.findall(
            r"`((?:umt|benchmarks|reports|tests|containers)/[a-z_0-9/.]*)`", (ROOT / page).read_text()
        ):
            assert (ROOT / path).exists(), f"{page}: {path}"
