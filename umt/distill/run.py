"""A run of distillations: the students that are asked for, their objects, and those that learn side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from umt.console import Console, print_whole, shown
from umt.distill import train
from umt.distill.cost import CostPart, cost_table
from umt.distill.images import Skipped, ViewImages
from umt.distill.ingredients import Prepared, RecipeChoice, Sources, prepare
from umt.distill.progress import TrainingBar
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.together import Learner, distill_together, groups_of
from umt.distill.train import STUDENT_FILE, Announce, Ingredients, RunSettings, claim_folder, estimate
from umt.files import MAX_NAME_BYTES, component
from umt.text import duration
from umt.training.device import pick_device
from umt.training.distributed import Processes
from umt.training.engine import RunContext
from umt.training.hooks.saving import RESUME_FILE

MOST_TOGETHER = 4  # students of one pass, whose activations are in memory together
JOINT = ","  # between students in the name of their folder; `component` leaves none in the name of one


@dataclass(frozen=True)
class StudentFolder:
    """A student that is asked for: its recipe, and the folder of its run."""

    choice: RecipeChoice
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """Return the path of its checkpoint, which may not exist yet."""
        return self.folder / STUDENT_FILE


@dataclass(frozen=True)
class DistillRun:
    """Settings that all students of a call share."""

    console: Console
    processes: Processes
    sources: Sources
    device_name: str
    wandb: bool
    targets: Path | None = None
    save_every: int = 1000
    parallel: str = "ddp"
    compiled: bool = False
    low_memory: bool = False

    @property
    def device(self) -> torch.device:
        """Return the device; each process of a launch has the GPU of its local rank."""
        device, processes = pick_device(self.device_name), self.processes
        several = device.type == "cuda" and processes.world > 1
        return torch.device("cuda", processes.local_rank) if several else device

    def estimate(self, students: Sequence[StudentFolder]) -> None:
        """Print the cost of each student, and train nothing."""
        for learner in self._learners(students):
            estimate(learner.recipe, learner.ingredients, self.device, self._announcer(learner))

    def train(self, students: Sequence[StudentFolder], work_dir: Path) -> None:
        """Train the students from one pass of the teachers, with saves and log in `work_dir`."""
        learners = self._learners(students)
        first = learners[0]
        with TrainingBar(self.console, ", ".join(learner.name for learner in learners), self.processes.main) as bar:
            context = RunContext(self.device, work_dir, first.recipe.seed, bar.report, self.wandb)
            settings = RunSettings(
                context, self.save_every, self.parallel, self.compiled, self.low_memory, self.processes.main
            )
            if len(learners) > 1:
                distill_together(learners, settings, self._announcer)
            else:
                train.distill(first.recipe, first.ingredients, settings, self._announcer(first))
        for student in students:
            print_whole(
                self.console,
                f"wrote {shown(student.checkpoint)}; evaluate it with: umt run {shown(student.checkpoint)}",
            )

    def _learners(self, students: Sequence[StudentFolder]) -> list[Learner]:
        """Return recipes with their objects; the teachers of all share their backbones, which are loaded once."""
        with self.console.status("Building students and teachers, looking at the images"):
            prepared = [prepare(student.choice, self.sources) for student in students]
            first = _ingredients(prepared[0], students[0].folder, self.targets)
            learners = [Learner(prepared[0].recipe, first, students[0].folder)]
            for later, student in zip(prepared[1:], students[1:], strict=True):
                teachers = later.teachers_beside(first.teachers)
                shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
                ingredients = replace(first, student=later.student, teachers=teachers, shapes=shapes)
                learners.append(Learner(later.recipe, ingredients, student.folder))
        return learners

    def _announcer(self, learner: Learner) -> Announce:
        """Return a function that prints the cost of a student."""

        def announce(parts: list[CostPart], seconds: float) -> None:
            self.console.print(f"[bold]{shown(learner.name)}[/]", highlight=False)
            self.console.print(cost_table(parts))
            images = len(learner.ingredients.views)
            steps, batch = learner.recipe.training.steps(images), learner.recipe.training.batch
            estimated = duration(seconds / self.processes.world)
            self.console.print(f"{images} images, {steps} steps of {batch}, about {estimated}")

        return announce


def groups(students: Sequence[StudentFolder], device: torch.device) -> list[list[StudentFolder]]:
    """Return the students that learn side by side; an interrupted training goes on with those that it began with."""
    if device.type != "cpu" or not students:
        return [[student] for student in students]
    waiting = {student.folder.name: student for student in students}
    begun = (folder.name.split(JOINT) for folder in sorted(students[0].folder.parent.glob("*")) if _is_begun(folder))
    resumed = [[waiting.pop(name) for name in names] for names in begun if waiting.keys() >= set(names)]
    recipes = {name: student.choice.recipe for name, student in waiting.items()}
    return resumed + [[waiting[name] for name in names] for names in groups_of(recipes, MOST_TOGETHER)]


def _is_begun(folder: Path) -> bool:
    return (folder / RESUME_FILE).is_file()


def group_folder(students: Sequence[StudentFolder]) -> Path:
    """Return the folder of saves and log: the student's own, or one beside those of several."""
    name = JOINT.join(student.folder.name for student in students)
    return students[0].folder.parent / (name if len(name.encode()) <= MAX_NAME_BYTES else component(name))


def unfinished(students: Sequence[StudentFolder], console: Console) -> list[StudentFolder]:
    """Make each folder its student's; return those without a finished student, and name the others."""
    to_train = [student for student in students if not claim_folder(student.folder, student.choice.recipe)]
    for student in students:
        if student not in to_train:
            print_whole(console, f"{shown(student.checkpoint)} is complete; nothing to do")
    return to_train


def _ingredients(prepared: Prepared, out: Path, targets: Path | None) -> Ingredients:
    """Return views with stored targets, or views and the teachers that give them."""
    recipe, skipped = prepared.recipe, Skipped(out / "skipped.txt", len(prepared.images))
    data: dict[str, Any] = {
        "images": len(prepared.images),
        "fingerprint": prepared.images.fingerprint,
        "origin": prepared.images.origin,
    }
    if targets:
        from umt.distill.cache.cache import open_cache

        cached = open_cache(targets, prepared, skipped)
        data |= {"views": cached.visits, "targets": cached.manifest.format}
        return Ingredients(prepared.student, (), cached.shapes, cached, data)
    teachers = prepared.teachers()
    shapes = [SpaceShape(teacher.name, *teacher.widths()) for teacher in teachers]
    views = ViewImages(prepared.images, recipe.views, recipe.seed, skipped)
    return Ingredients(prepared.student, teachers, shapes, views, data)
