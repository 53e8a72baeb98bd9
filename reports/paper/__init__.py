"""The paper's own numbers: tables 1 to 7 of "Unified Multi-Teacher Distillation across Hybrid Neural Architectures"."""

from __future__ import annotations

import csv
from pathlib import Path


def published_table(number: int) -> list[dict[str, str]]:
    """Return the rows of table 1 to 7 as printed; an empty text is a value that the paper does not give."""
    with (Path(__file__).parent / f"table{number}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
