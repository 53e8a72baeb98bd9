"""The experiment as data: arms, seeds, and their common settings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from umt.declarations import build, read_mapping, scalar
from umt.errors import unknown_name
from umt.files import component
from umt.training.engine import Recipe

FILE = Path(__file__).with_name("experiment.yaml")


@dataclass(frozen=True)
class Arm:
    """A row of the table, trained once a seed; without a recipe it is trained on labels."""

    name: str
    recipe: str | None = None
    heads: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()  # of the recipe, beside those of all arms
    budgets: tuple[str, ...] | None = None  # those that it is trained with, null for all
    remedies: tuple[str, ...] = ()  # budgets with which each remedy is tried on it, alone

    def folder(self, seed: int) -> str:
        """Return a name of its own for every arm and seed."""
        return f"{component(self.name)}-seed{seed}"


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
    part: str  # of the judging data: development, for choices, or test, which no choice has seen
    suite: str
    cache: TargetCache
    changes: tuple[str, ...]  # changes of the arms' recipes
    arms: tuple[Arm, ...]
    student: str
    supervised: Recipe
    view: int  # pixels
    teachers: dict[str, str]  # label -> backbone; {weights} is the folder of weight files
    teacher_pixels: tuple[int, ...] = ()  # that teachers are judged at besides, as those that they were trained for
    remedies: dict[str, tuple[str, ...]] = field(default_factory=dict)  # name -> changes
    budgets: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"": ()})  # name -> changes, trained with each

    def __post_init__(self) -> None:
        for arm in self.arms:
            for budget in (*(arm.budgets or ()), *arm.remedies):
                if budget not in self.budgets:
                    raise unknown_name(f"budget of arm '{arm.name}' in {self.source}", budget, self.budgets)

    @property
    def trained_arms(self) -> list[Arm]:
        """The rows to train: each arm, alone and with each remedy, with each of its budgets."""
        return [
            replace(arm, name=f"{arm.name}, {budget}" if budget else arm.name, changes=(*arm.changes, *changes))
            for budget, changes in self.budgets.items()
            for arm in (*self.arms, *self._remedied_arms())
            if arm.budgets is None or budget in arm.budgets
        ]

    def _remedied_arms(self) -> Iterator[Arm]:
        for arm in (arm for arm in self.arms if arm.remedies):
            for name, changes in self.remedies.items():
                yield replace(
                    arm, name=f"{arm.name}, {name}", heads=(), changes=(*arm.changes, *changes), budgets=arm.remedies
                )

    def training_of_labels(self, arm: Arm) -> Recipe:
        """Return the training of the student without teachers, with the arm's changes of `training`."""
        texts = [
            change.removeprefix("training.").partition("=") for change in arm.changes if change.startswith("training.")
        ]
        return replace(self.supervised, **{name: scalar(value) for name, _, value in texts})

    def changed(self, arm: Arm | None = None) -> list[str]:
        """Return the changes of all arms, and those of one arm, as options of `umt`."""
        return [part for change in (*self.changes, *(arm.changes if arm else ())) for part in ("--set", change)]


def load_experiment(path: Path = FILE) -> Experiment:
    """Read the declaration; UMTError names the field that is wrong."""
    return build(Experiment, {"source": str(path.resolve()), **read_mapping(path)}, path)
