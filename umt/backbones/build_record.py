"""Facts that are found out while a backbone is built, handed on so that it is built again without looking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

Fact = TypeVar("Fact")


@dataclass
class BuildRecord:
    """Facts in the order in which a build asks for them, each with the question that it answers.

    A fact is taken only for the same question at the same place, and if it has the type that is asked for.
    """

    entries: list[tuple[str, Any]] = field(default_factory=list)
    position: int = 0  # questions of this build so far

    def recall(self, question: str, kind: type[Fact]) -> Fact | None:
        """Return the next fact; None if it answers another question, from which on everything is found anew."""
        known = self.entries[self.position : self.position + 1]
        if known and known[0][0] == question and isinstance(known[0][1], kind):
            self.position += 1
            return known[0][1]
        del self.entries[self.position :]
        return None

    def keep(self, question: str, fact: object) -> None:
        """Add a fact that was found out, after those that were recalled."""
        self.entries.append((question, fact))
        self.position = len(self.entries)


_record: ContextVar[BuildRecord | None] = ContextVar("record", default=None)


@contextmanager
def recorded(record: BuildRecord | None) -> Iterator[None]:
    """Let builds in this block recall facts from a record, and keep there what they find out; None for neither."""
    token = _record.set(record)
    try:
        yield
    finally:
        _record.reset(token)


def recall(question: str, kind: type[Fact]) -> Fact | None:
    """Return the fact that the record of this build has; None if there is none."""
    record = _record.get()
    return record.recall(question, kind) if record else None


def keep(question: str, fact: object) -> None:
    """Add a fact to the record of this build, if it has one."""
    record = _record.get()
    if record:
        record.keep(question, fact)
