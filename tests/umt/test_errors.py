"""Unknown names are answered with near ones and with what there is."""

from __future__ import annotations

from umt.errors import unknown_name


def test_close_names_come_first() -> None:
    text = str(unknown_name("task", "nyu_depth", ["knn", "nyuv2_depth"]))
    assert text == "unknown task 'nyu_depth'. Did you mean nyuv2_depth? Known: knn, nyuv2_depth."


def test_long_lists_are_left_to_their_command() -> None:
    known = [f"model_{index}" for index in range(100)]
    text = str(unknown_name("model", "zzz", known, listing="umt backbones list"))
    assert text == "unknown model 'zzz'. `umt backbones list` lists them."
