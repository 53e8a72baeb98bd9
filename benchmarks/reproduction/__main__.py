"""`python -m benchmarks.reproduction --data DIR --weights DIR --out DIR`: split, train, judge, and write the table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.reproduction.experiment import Arm, Experiment, load_experiment
from benchmarks.reproduction.growth import growth_table
from benchmarks.reproduction.split import DISTIL, make_split
from benchmarks.reproduction.table import collect, insert, markdown, units_of
from benchmarks.results import ResultStore
from benchmarks.suite.suite import load_suite
from umt.backbones.spec import parse_spec
from umt.console import Console
from umt.errors import ProcessError, UMTError
from umt.surroundings import usable_cores

FOLDER = click.Path(path_type=Path)
STUDENT_FILE = "student.pth"


@dataclass(frozen=True)
class Folders:
    """Folders of the experiment."""

    out: Path
    weights: Path

    @property
    def images(self) -> Path:
        return self.out / "data" / DISTIL

    @property
    def cache(self) -> Path:
        return self.out / "cache"

    def judged(self, part: str) -> Path:
        return self.out / f"judged-{part}"

    def student(self, arm: Arm, seed: int) -> Path:
        return self.out / "students" / arm.folder(seed) / STUDENT_FILE


@click.command()
@click.option("--data", type=FOLDER, required=True, help="Folder of the real images (docs/REPRODUCTION.md names them).")
@click.option("--weights", type=FOLDER, required=True, help="Folder of the teachers' weight files.")
@click.option("--out", type=FOLDER, default=Path("runs/reproduction"), show_default=True)
@click.option("--workers", default=2, show_default=True, help="Trainings at a time; the cores are shared out.")
@click.option(
    "--document",
    type=FOLDER,
    help="A Markdown file whose tables of this experiment are replaced, e.g. docs/REPRODUCTION.md.",
)
@click.option("--experiment", "file", type=FOLDER, help="Another declaration than the shipped experiment.yaml.")
def main(data: Path, weights: Path, out: Path, workers: int, document: Path | None, file: Path | None) -> None:
    """Run the missing parts of the experiment, and print its table."""
    console, experiment = Console(), load_experiment(file) if file else load_experiment()
    folders = Folders(out.resolve(), weights.resolve())
    make_split(data, folders.out / "data")
    run_all(console, [cache_command(experiment, folders)], 1)
    run_all(console, training_commands(experiment, folders), workers)
    run_all(console, judge_commands(experiment, folders, workers), 1)
    columns = load_suite(experiment.suite).measured
    values = collect(ResultStore(folders.judged(experiment.part) / "results"), columns, experiment.teacher_pixels)
    units = units_of(columns)
    tables = {
        "results": markdown(values, row_names(experiment), units),
        "growth": growth_table(experiment, values, [heading for heading, unit in units.items() if unit == "%"]),
    }
    for name, table in ((name, table) for name, table in tables.items() if table):
        console.print(table, soft_wrap=True, markup=False)
        if document:
            insert(document, table, f"{Path(experiment.source).stem} {name}")


def cache_command(experiment: Experiment, folders: Folders) -> list[str]:
    """Return the command that stores the teachers' targets, once for all arms and seeds."""
    return _umt("teachers", "cache", "--recipe", experiment.cache.recipe, *experiment.changed(), "--images",
                folders.images, "--weights", folders.weights, "--views", experiment.cache.views, "--pixels", "--yes",
                "--out", folders.cache)  # fmt: skip


def training_commands(experiment: Experiment, folders: Folders) -> list[list[str]]:
    """Return a command for each arm and seed that is not finished."""
    pairs = [(arm, seed) for seed in range(experiment.seeds) for arm in experiment.trained_arms]
    return [_train(experiment, folders, arm, seed) for arm, seed in pairs if not folders.student(arm, seed).is_file()]


def judge_commands(experiment: Experiment, folders: Folders, workers: int) -> list[list[str]]:
    """Return commands that run the suite over students, heads and teachers, and over teachers at their own pixels."""
    backbones = {
        f"{name} seed {seed}": spec
        for seed in range(experiment.seeds)
        for name, spec in _students(experiment, folders, seed)
    }
    backbones["Random weights"] = parse_spec(experiment.student).with_options(pretrained=False).text
    teachers = {_teacher(name): spec.format(weights=folders.weights) for name, spec in experiment.teachers.items()}
    commands = [_judge(experiment, folders, workers, backbones | teachers)]
    for pixels in experiment.teacher_pixels:
        larger = {_at(row, pixels): spec for row, spec in teachers.items()}
        commands.append([*_judge(experiment, folders, workers, larger), "--resolutions", str(pixels)])
    return commands


def _judge(experiment: Experiment, folders: Folders, workers: int, backbones: Mapping[str, str]) -> list[str]:
    options = [part for label, spec in backbones.items() for part in ("--backbone", f"{label}={spec}")]
    data = folders.out / "data" / experiment.part
    return _umt("run", *options, "--suite", experiment.suite, "--seeds", 1, "--data-root", data, "--out",
                folders.judged(experiment.part), "--workers", workers, "--device", "cpu")  # fmt: skip


def row_names(experiment: Experiment) -> list[str]:
    """Return the rows of the table, in order."""
    students = [
        name for arm in experiment.trained_arms for name in (arm.name, *(_head(arm, head) for head in arm.heads))
    ]
    teachers = [_teacher(name) for name in experiment.teachers]
    larger = [_at(row, pixels) for pixels in experiment.teacher_pixels for row in teachers]
    return [*students, "Random weights", *teachers, *larger]


def run_all(console: Console, commands: Sequence[list[str]], workers: int) -> None:
    """Run commands side by side, each with its share of the cores; the first failure is the error."""
    threads = str(max(1, usable_cores() // workers))

    def run(command: list[str]) -> None:
        console.print(" ".join(command[2:7]), "...", markup=False, soft_wrap=True, highlight=False)
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": threads}, capture_output=True, text=True)
        if done.returncode:
            raise ProcessError(
                f"{' '.join(command)} failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
            )

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, commands))


def _students(experiment: Experiment, folders: Folders, seed: int) -> list[tuple[str, str]]:
    backbones = []
    for arm in experiment.trained_arms:
        path = str(folders.student(arm, seed))
        backbones += [(arm.name, f"{path}#backbone"), *((_head(arm, head), f"{path}#{head}") for head in arm.heads)]
    return backbones


def _teacher(name: str) -> str:
    return f"Teacher {name}"


def _at(row: str, pixels: int) -> str:
    return f"{row}, {pixels} pixels"


def _head(arm: Arm, head: str) -> str:
    return f"{arm.name}, {head} head"


def _train(experiment: Experiment, folders: Folders, arm: Arm, seed: int) -> list[str]:
    out = folders.student(arm, seed).parent
    if arm.recipe is None:
        plain = [folders.images, seed, out, arm.name, "--experiment", experiment.source]
        return [sys.executable, "-m", "benchmarks.reproduction.supervised", *map(str, plain)]
    return _umt("distill", "--recipe", arm.recipe, *experiment.changed(arm), "--set", f"seed={seed}", "--images",
                folders.images, "--weights", folders.weights, "--targets", folders.cache, "--out", out,
                "--device", "cpu")  # fmt: skip


def _umt(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "umt.cli", *map(str, arguments)]


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except UMTError as error:
        sys.exit(f"umt: {error.coded}")
