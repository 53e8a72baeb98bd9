"""The benchmark of fingerprints, on few files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.perf import image_list


def test_both_ways_give_one_fingerprint(tmp_path: Path) -> None:
    row = image_list.fingerprint_row(image_list.linked_images(tmp_path, 2, 30))
    assert row.job == "fingerprint of 60 images"
    assert row.note == "equal"
    assert row.theirs > 0
    assert row.ours > 0
