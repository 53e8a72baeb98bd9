"""The places in a file where a backbone may be: a state dict, a prefix, and the layouts whose names are found there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from umt.backbones.containers.parts import StateDict, parts
from umt.backbones.recognition.layout import Branch, Layout, conventions, kind_of
from umt.errors import WeightsError

UNKNOWN_BRANCH = Branch("", 5, "last", "")
SURE = 10  # ranks by which a place is preferred that a layout knows with what stands beside it


@dataclass(frozen=True)
class Candidate:
    """A part of a file under one prefix, and the layouts that its names belong to, in their order."""

    part: StateDict
    prefix: str
    layouts: Sequence[Layout]
    branch: Branch

    @property
    def title(self) -> str:
        """The containers and the prefix, joined as they are named in `part=`."""
        return ".".join((*self.part.where, self.prefix.rstrip("."))).strip(".")

    @property
    def state(self) -> dict[str, Tensor]:
        """The tensors of this place, without the prefix."""
        start = len(self.prefix)
        return {name[start:]: value for name, value in self.part.state.items() if name.startswith(self.prefix)}


def find_places(content: Any, known: Sequence[Layout], arguments: Set[str]) -> list[Candidate]:
    """Return all places in which some layout's names stand, in order of the ranks of their branches.

    arguments: names of what the training saved as its arguments.
    """
    fitting = [layout for layout in known if arguments >= set(layout.args)]
    candidates = [candidate for part in parts(content) for candidate in _places_of(part, fitting)]
    return sorted(candidates, key=lambda candidate: candidate.branch.rank)


def whole_parts(content: Any, layout: Layout) -> list[Candidate]:
    """Return all state dicts as places without a prefix, for a layout that is not known by an anchor."""
    candidates = [Candidate(part, "", [layout], _branch(".".join(part.where))) for part in parts(content)]
    return sorted(candidates, key=lambda candidate: candidate.branch.rank)


def choose(candidates: Sequence[Candidate], weights_of: str | None, part: str | None) -> list[Candidate]:
    """Return the places that are meant: those of the lowest rank, or those that the options name; UMTError if none."""
    matches = [candidate for candidate in candidates if part is None or candidate.title == part]
    if weights_of is not None:
        matches = [candidate for candidate in matches if candidate.branch.role == weights_of]
    if candidates and not matches:
        option = f"part={part}" if part is not None else f"weights_of={weights_of}"
        models = ", ".join(
            f"{candidate.title or 'the whole file'} ({candidate.branch.role})" for candidate in candidates[:6]
        )
        raise WeightsError(f"{option} names none of its models; there are {models}")
    ranks = [candidate.branch.rank for candidate in matches]
    return [candidate for candidate in matches if candidate.branch.rank == min(ranks)]


def outside(candidate: Candidate, candidates: Sequence[Candidate]) -> tuple[dict[str, list[str]], list[str]]:
    """Sort the tensors beside the backbone by kind; return the unknown ones, too."""
    prefixes = [
        rival.prefix
        for rival in candidates
        if rival.part is candidate.part and rival.prefix not in ("", candidate.prefix)
    ]
    known: dict[str, list[str]] = {}
    unknown: list[str] = []
    kinds = {**candidate.layouts[0].left, **conventions().left}
    for name in candidate.part.state:
        if name.startswith(candidate.prefix):
            continue
        another = name.startswith(tuple(prefixes))
        kind = "another model" if another else _kind_at_any_depth(name, candidate.prefix, kinds)
        known.setdefault(kind, []).append(name) if kind else unknown.append(name)
    return known, unknown


def _kind_at_any_depth(name: str, prefix: str, kinds: Mapping[str, str]) -> str | None:
    """Return the kind of `teacher.dino_head.x` beside `teacher.backbone.`: parts that both share are passed over."""
    shared = prefix.split(".")
    parts = name.split(".")
    while True:
        kind = kind_of(".".join(parts), kinds)
        if kind or len(parts) < 2:
            return kind
        if shared and parts[0] == shared[0]:
            shared = shared[1:]
        elif _branch(parts[0]) is UNKNOWN_BRANCH:
            return None
        parts = parts[1:]


def _places_of(part: StateDict, known: Sequence[Layout]) -> list[Candidate]:
    matches: dict[str, list[Layout]] = {}
    for layout in known:
        for prefix in sorted(_prefixes(part.state, layout.anchor), key=len):
            if _matches(part, prefix, layout):
                matches.setdefault(prefix, []).append(layout)
    return [Candidate(part, prefix, matched, _rank(part, prefix, matched[0])) for prefix, matched in matches.items()]


def _prefixes(state: Mapping[str, Tensor], anchor: str) -> set[str]:
    """Return what stands before the anchor in names that are the anchor, or end in it behind a dot."""
    return {name[: -len(anchor)] for name in state if f".{name}".endswith(f".{anchor}")}


def _matches(part: StateDict, prefix: str, layout: Layout) -> bool:
    if not re.fullmatch(layout.prefix, prefix) or not re.search(layout.within, ".".join(part.where)):
        return False
    inside = [name[len(prefix) :] for name in part.state if name.startswith(prefix)]
    beside = [name for name in part.state if not name.startswith(prefix)]
    return (
        all(any(re.search(pattern, name) for name in inside) for pattern in layout.has)
        and all(any(re.search(pattern, name) for name in beside) for pattern in layout.beside)
        and not any(re.search(pattern, name) for pattern in layout.lacks for name in inside)
    )


def _rank(part: StateDict, prefix: str, layout: Layout) -> Branch:
    branch = _branch(".".join((*part.where, prefix.rstrip("."))))
    return replace(branch, rank=branch.rank - SURE) if layout.beside or layout.sure else branch


def _branch(title: str) -> Branch:
    return next((branch for branch in conventions().branches if re.search(branch.pattern, title)), UNKNOWN_BRANCH)
