"""A soak: small random suites with faults by seed. Nothing finished is lost, every failure is named, all of it mends.

UMT_SOAK is the number of suites, 10 by default: `UMT_SOAK=200 pytest tests/faults/test_soak.py`.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import click
import pytest
import torch
import yaml
from click.testing import CliRunner

from benchmarks.cli.run import run
from benchmarks.results import read_result
from reports.results.store import read_store
from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.cli import cli
from umt.data.mini import write_set
from umt.errors import UMTError

SUITES = int(os.environ.get("UMT_SOAK", "10"))
SETS = {"cub": "CUB_200_2011", "aircraft": "fgvc-aircraft-2013b", "imagenet": "imagenet"}
LISTED = ("cub", "aircraft")  # sets with lists of their images
SIZE = {"imagenet": 60, "aircraft": (2, 1, 1), "cub": (3, 1)}
COLUMNS = [
    *({"task": "knn", "dataset": dataset, "protocol": "mini", "metric": "top1"} for dataset in SETS),
    *({"task": "fewshot", "dataset": dataset, "protocol": "mini", "metric": "accuracy"} for dataset in SETS),
]
STRANGE = {"task": "knn", "dataset": "cub", "protocol": "mini", "metric": "top1"}
Undo = Callable[[], None]


@dataclass
class Soak:
    """A suite in a folder of its own; `faults` says which jobs each fault may stop, and what names it."""

    folder: Path
    random: Random
    columns: list[dict[str, str]]
    backbones: dict[str, str]
    faults: list[Fault] = field(default_factory=list)
    undo: list[Undo] = field(default_factory=list)
    trap: Callable[[int], None] | None = None  # is called with the number of each write to disk

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def suite(self) -> Path:
        return self.folder / "soak [b].yaml"

    @property
    def jobs(self) -> set[Job]:
        return {(label, column["task"], column["dataset"]) for label in self.backbones for column in self.columns}

    @property
    def results(self) -> dict[Job, Path]:
        """The readable results by job."""
        found = {}
        for path in (self.out / "results").glob("*/*.json"):
            try:
                key = read_result(path).key
            except UMTError:
                continue
            found[key.backbone, key.task, key.dataset] = path
        return found

    def replace(self, path: Path, content: bytes) -> None:
        """Change a file until it is mended."""
        before = path.read_bytes()
        path.write_bytes(content)
        self.undo.append(lambda: path.write_bytes(before) and None)

    def write(self, columns: list[dict[str, str]]) -> None:
        named = [{**column, "heading": f"H{number}"} for number, column in enumerate(columns)]
        head = {"title": "Soak [/b]", "about": "test", "seeds": 1, "embedded_data": False}
        tables = {"table1": {"title": "T", "columns": named}}
        self.suite.write_text(yaml.safe_dump({**head, "tables": tables}), encoding="utf-8")

    def start(self) -> tuple[int, str]:
        """Run the suite in a process of its own; return its exit status and what it said."""
        said = self.folder / "said.json"
        said.unlink(missing_ok=True)
        child = os.fork()
        if not child:
            self._run(said)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return status, json.loads(said.read_text()) if said.exists() else ""

    def _run(self, said: Path) -> None:
        """Run in the child, which never returns."""
        code = 70
        try:
            code, text = self.run()
            said.write_text(json.dumps(text))
        finally:
            os._exit(code)

    def run(self) -> tuple[int, str]:
        """Run `umt run` with jobs in this process, where the trap is; an error that is no UMTError says UNKNOWN."""
        named = [f"--backbone={label}={spec}" for label, spec in self.backbones.items()]
        where = [f"--data-root={self.folder / 'data'}", f"--out={self.out}", f"--suite={self.suite}"]
        (workers,) = (option for option in run.params if option.name == "workers")
        with writes_counted(self.trap), pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "2000")
            patch.setattr(workers, "type", click.INT)  # 0, as in `umt.evaluate`
            done = CliRunner().invoke(cli, ["run", *named, *where, "--device=cpu", "--workers=0"])
        code = 2 if isinstance(done.exception, UMTError) else done.exit_code
        unknown = done.exception and not isinstance(done.exception, (UMTError, SystemExit))
        return code, f"{done.output} {done.exception}" + (" UNKNOWN" if unknown else "")


Job = tuple[str, str, str]


@dataclass(frozen=True)
class Fault:
    """An injected fault: the jobs that it may stop, and a text that must be said if it stopped one."""

    name: str
    stops: Callable[[Job], bool]
    said: str


@contextmanager
def writes_counted(trap: Callable[[int], None] | None) -> Iterator[None]:
    """Call the trap with the number of each write that goes to disk."""
    original, count = os.fsync, 0

    def fsync(descriptor: int) -> None:
        nonlocal count
        count += 1
        if trap:
            trap(count)
        original(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        yield


def images(soak: Soak, dataset: str) -> list[Path]:
    return sorted(path for path in (soak.folder / "data" / SETS[dataset]).rglob("*") if path.suffix in (".jpg", ".png"))


def bad_image(soak: Soak) -> Fault:
    dataset = soak.random.choice(soak.columns)["dataset"]
    path = soak.random.choice(images(soak, dataset))
    soak.replace(path, path.read_bytes()[: soak.random.choice((0, 60))])
    return Fault("bad image", lambda job: job[2] == dataset, path.name)


def vanished_image(soak: Soak) -> Fault:
    """An image that its list names; without a list, there are only fewer images."""
    dataset = soak.random.choice(soak.columns)["dataset"]
    if dataset not in LISTED:
        return bad_image(soak)
    path = soak.random.choice(images(soak, dataset))
    away = soak.folder / "away.image"
    path.rename(away)
    soak.undo.append(lambda: away.rename(path) and None)
    return Fault("vanished image", lambda job: job[2] == dataset, path.name)


def vanished_set(soak: Soak) -> Fault:
    dataset = soak.random.choice(soak.columns)["dataset"]
    path, away = soak.folder / "data" / SETS[dataset], soak.folder / "away"
    path.rename(away)
    soak.undo.append(lambda: away.rename(path) and None)
    return Fault("vanished set", lambda job: job[2] == dataset, path.name)


def bad_checkpoint(soak: Soak) -> Fault:
    path = soak.folder / "student.pth"
    soak.replace(path, path.read_bytes()[: -soak.random.randint(1, 5000)])
    return Fault("bad checkpoint", lambda job: job[0] == "student", path.name)


def bad_row(soak: Soak) -> Fault:
    soak.write([*soak.columns, {**STRANGE, soak.random.choice(("task", "dataset", "protocol")): "nowhere"}])
    soak.undo.append(lambda: soak.write(soak.columns))
    return Fault("bad row", lambda job: False, "nowhere")


def full_disk(soak: Soak) -> Fault:
    first = soak.random.randint(1, 12)

    def trap(number: int) -> None:
        if number >= first:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    soak.trap = trap
    soak.undo.append(lambda: setattr(soak, "trap", None))
    return Fault("full disk", lambda job: True, "No space left on device")


def killed(soak: Soak) -> Fault:
    at = soak.random.randint(1, 12)

    def trap(number: int) -> None:
        if number == at:
            os.kill(os.getpid(), signal.SIGKILL)

    soak.trap = trap
    soak.undo.append(lambda: setattr(soak, "trap", None))
    return Fault("killed", lambda job: True, "")


BEFORE = (bad_image, vanished_image, bad_checkpoint, bad_row, vanished_set)  # a set that is gone has no images
DURING = (full_disk, killed)


def damage_between(soak: Soak) -> set[Job]:
    """Damage a result and an entry of the cache; return the jobs whose results are damaged."""
    caches = sorted((soak.out / "cache").glob("*.npy"))
    if caches and soak.random.random() < 0.5:
        damage(soak, soak.random.choice(caches))
    results = sorted(soak.results.items())
    if not results or soak.random.random() < 0.5:
        return set()
    job, path = soak.random.choice(results)
    damage(soak, path)
    return {job}


def damage(soak: Soak, path: Path) -> None:
    """Cut a file, or change a byte of it."""
    content = bytearray(path.read_bytes())
    place = soak.random.randrange(len(content))
    path.write_bytes(content[:place] if soak.random.random() < 0.5 else flipped(content, place))


def flipped(content: bytearray, place: int) -> bytes:
    content[place] ^= 0x10
    return bytes(content)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small embedded data, and a checkpoint."""
    folder = tmp_path_factory.mktemp("sound")
    for name in SETS:
        write_set(name, folder / "data", SIZE)
    save_checkpoint(folder / "student.pth", create_backbone("timm:test_resnet?pretrained=false"), provenance={})
    return folder


@pytest.fixture(scope="module")
def reference(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[Job, Any]:
    """The metrics of all jobs without a fault; here, so that the forks need not import anything."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("reference")
    shutil.copytree(sound, folder, dirs_exist_ok=True)
    soak = Soak(folder, Random(0), COLUMNS, backbones(folder))
    soak.write(COLUMNS)
    status, said = soak.run()
    assert status == 0, said
    return {job: read_result(path).metrics for job, path in soak.results.items()}


def backbones(folder: Path) -> dict[str, str]:
    return {"student": f"{folder / 'student.pth'}", "a [b]": "timm:test_resnet?pretrained=false"}


def make(seed: int, folder: Path, sound: Path) -> Soak:
    """A random suite, with one fault before its start or more, and at most one during it."""
    random = Random(seed)
    shutil.copytree(sound, folder, dirs_exist_ok=True)
    names = backbones(folder)
    labels = random.sample(sorted(names), random.randint(1, 2))
    soak = Soak(folder, random, random.sample(COLUMNS, random.randint(1, 4)), {name: names[name] for name in labels})
    soak.write(soak.columns)
    chosen = sorted(random.sample(BEFORE, random.choice((0, 1, 1, 2))), key=BEFORE.index) + random.sample(
        DURING, random.choice((0, 0, 1))
    )
    soak.faults = [inject(soak) for inject in chosen]
    return soak


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SUITES))
def test_nothing_is_lost_and_every_failure_is_named(
    seed: int, tmp_path: Path, sound: Path, reference: dict[Job, Any]
) -> None:
    soak = make(seed, tmp_path / f"suite {seed}", sound)
    names = [fault.name for fault in soak.faults]
    status, said = soak.start()
    missing = soak.jobs - soak.results.keys()
    check_first(soak, status, said, missing, names)
    kept = {job: (path, path.stat().st_mtime_ns) for job, path in soak.results.items()}
    damaged = damage_between(soak)
    check_store(soak, damaged, kept)
    for undo in reversed(soak.undo):
        undo()
    status, said = soak.start()
    assert status == 0, said
    assert soak.results.keys() == soak.jobs
    assert {job: read_result(path).metrics for job, path in soak.results.items()} == {
        job: reference[job] for job in soak.jobs
    }
    for job, (path, time) in kept.items():
        assert (path.stat().st_mtime_ns == time) != (job in damaged), "a sound result is not measured again"
    assert "killed" in names or not list(soak.out.rglob(".partial-*")), "only kill -9 leaves a temporary file"


def check_first(soak: Soak, status: int, said: str, missing: set[Job], names: list[str]) -> None:
    """Every job without a result belongs to a fault, which is named; the status says if anything is missing."""
    assert "UNKNOWN" not in said, said
    assert "Traceback" not in said, said
    for job in missing:
        causes = [fault for fault in soak.faults if fault.stops(job)]
        assert [fault for fault in causes if fault.said in said], (job, names, said)
    if status == -signal.SIGKILL:
        assert "killed" in names
    elif missing or "bad row" in names:
        assert status > 0
        assert [fault for fault in soak.faults if fault.said in said], said
    elif "full disk" not in names:  # which may come when all results are there, and only tables are missing
        assert status == 0, said


def check_store(soak: Soak, damaged: set[Job], kept: dict[Job, Any]) -> None:
    """A report over the store names what is damaged, and shows the rest."""
    if not kept:
        return
    measurements, problems = read_store(soak.out / "results")
    shown = {(key.backbone, key.task, key.dataset) for key in (measurement.key for measurement in measurements)}
    assert shown == kept.keys() - damaged
    assert len(problems) == len(damaged)
    assert all(str(kept[job][0]) in str(problem) for job, problem in zip(damaged, problems, strict=True))
