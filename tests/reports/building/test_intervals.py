"""Intervals behind the numbers of a table."""

from __future__ import annotations

from dataclasses import replace

from reports.building.intervals import with_intervals


def test_the_interval_stands_behind_its_number_and_once(table) -> None:  # type: ignore[no-untyped-def]
    group, *others = table.groups
    paper, ours = group.rows
    known = replace(ours, cells=(replace(ours.cells[0], estimate=lambda: (81.04, 85.66)), ours.cells[1]))
    shown = with_intervals(replace(table, groups=(replace(group, rows=(paper, known)), *others)))
    assert [cell.text for cell in shown.groups[0].rows[1].cells] == ["83.3 ± 0.1 [81.0, 85.7]", "–"]
    assert shown.groups[0].rows[1].cells[0].interval is None
    assert [cell.text for cell in shown.groups[0].rows[0].cells] == ["81.20", "0.300"]
    assert shown.groups[1] == table.groups[1]
