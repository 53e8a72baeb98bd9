"""MMSegmentation's NYU layout, on measured depth."""

from __future__ import annotations

from pathlib import Path

from umt.data.checks.items import validate
from umt.data.registry import find_dataset


def test_measured_depth(real_data: Path) -> None:
    dataset = find_dataset("nyuv2", real_data, {"nyuv2": real_data / "nyuv2_mini"})
    validate(dataset)
    assert dataset.sizes == {"train": 160, "test": 80}
    assert not dataset.official
