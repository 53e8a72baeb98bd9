"""The page of the matrix, written from its declarations."""

from __future__ import annotations

from pathlib import Path

from matrix.cells import DEFAULTS, AsBefore, Cell, Door, Either, Elsewhere, LeftOut, Named, Never
from matrix.doors import DOORS
from matrix.faults import FAULTS, Fault

SIGNS = {Named: "N", AsBefore: "B", LeftOut: "L", Either: "N/B", Elsewhere: "T", Never: "-"}
LEGEND = (
    "N: named. B: read as before, or computed again. L: left out, the rest is read. T: another test has it. "
    "-: cannot happen. The reasons follow."
)
TESTS = Path(__file__).resolve().parents[2]
HEAD = """# Robustness

Each door through which files come in, times each kind of fault. `tests/faults/files/test_matrix.py` makes every fault
for real, with a limit of time and memory. "Named" is one line without a traceback, which names the file; nothing else
is lost, and the mended file is read as before.

{tests} tests and {sentences} sentences fill the {cells} cells. This page is written from the declarations in
`tests/faults/matrix`: `cd tests/faults && python -m matrix > ../../docs/robustness.md`. Faults of processes, disks and
stores are in `tests/faults/processes/README.md`; a soak of random suites with faults is `tests/faults/test_soak.py`.
"""


def cell(door: Door, fault: Fault, variant: str) -> Cell:
    """Return the outcome of a variant of a fault at a door."""
    return door.cells.get(f"{fault.name}/{variant}") or door.cells.get(fault.name) or DEFAULTS[fault.name]


def outcomes(door: Door, fault: Fault) -> dict[Cell, list[str]]:
    """Return the variants by outcome."""
    groups: dict[Cell, list[str]] = {}
    for variant in fault.variants or [""]:
        groups.setdefault(cell(door, fault, variant), []).append(variant)
    return groups


def written(door: Door, fault: Fault) -> str:
    """Return the text of a cell."""
    groups = outcomes(door, fault)
    return "; ".join(
        f"{shown(entry)} ({', '.join(variants)})" if len(groups) > 1 else shown(entry)
        for entry, variants in groups.items()
    )


def shown(entry: Cell) -> str:
    if isinstance(entry, Never):
        return f"cannot happen: {entry.reason}"
    return f"{entry.reason}: `{entry.test}`" if isinstance(entry, Elsewhere) else entry.reason


def overview() -> list[str]:
    """Return the lines of the table of all cells, by signs."""
    head = [f"| door | {' | '.join(fault.name for fault in FAULTS)} |", f"|---{'|---' * len(FAULTS)}|"]
    return head + [f"| {door.name} | {' | '.join(signs(door, fault) for fault in FAULTS)} |" for door in DOORS]


def signs(door: Door, fault: Fault) -> str:
    return ", ".join(dict.fromkeys(SIGNS[type(entry)] for entry in outcomes(door, fault)))


def page() -> str:
    """Return the whole page."""
    entries = [entry for door in DOORS for fault in FAULTS for entry in outcomes(door, fault).items()]
    sentences = sum(isinstance(entry, Never) for entry, _ in entries)
    tests = sum(len(variants) for entry, variants in entries if not isinstance(entry, Never))
    lines = [HEAD.format(tests=tests, sentences=sentences, cells=len(DOORS) * len(FAULTS))]
    lines += ["| fault | is made as |", "|---|---|", *(f"| {fault.name} | {fault.about} |" for fault in FAULTS)]
    lines += ["", *overview(), "", LEGEND]
    for door in DOORS:
        lines += ["", f"## {door.name[0].upper()}{door.name[1:]}", "", f"Read by {door.opened_by}.", ""]
        lines += ["| fault | outcome |", "|---|---|"]
        lines += [f"| {fault.name} | {written(door, fault)} |" for fault in FAULTS]
    return "\n".join(lines) + "\n"
