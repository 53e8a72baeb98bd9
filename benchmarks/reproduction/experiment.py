"""The experiment as data: arms, seeds, and their common settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from umt.declarations import build, read_mapping
from umt.training.engine import Recipe

FILE = Path(__file__).with_name("experiment.yaml")


@dataclass(frozen=True)
class Arm:
    """A row of the table, trained once a seed; without a recipe it is trained on labels."""

    name: str
    recipe: str | None = None
    heads: tuple[str, ...] = ()

    def folder(self, seed: int) -> str:
        return f"{self.recipe or 'supervised'}-seed{seed}"


@dataclass(frozen=True)
class TargetCache:
    """Teachers' targets, computed once for all arms."""

    recipe: str
    views: int


@dataclass(frozen=True)
class Experiment:
    """Everything that decides the table."""

    source: str  # the file it was read from
    seeds: int
    suite: str
    cache: TargetCache
    changes: tuple[str, ...]  # changes of the arms' recipes
    arms: tuple[Arm, ...]
    student: str
    supervised: Recipe
    view: int  # pixels
    teachers: dict[str, str]  # label -> backbone; {weights} is the folder of weight files

    def changed(self, fields: str = "") -> list[str]:
        """Return the changes, or those of fields that begin so, as options of `umt`."""
        return [part for change in self.changes if change.startswith(fields) for part in ("--set", change)]


def load_experiment(path: Path = FILE) -> Experiment:
    """Read the declaration; UMTError names the field that is wrong."""
    return build(Experiment, {"source": str(path.resolve()), **read_mapping(path)}, path)
