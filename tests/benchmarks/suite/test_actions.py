"""Actions of a suite before its example, and the part of them that may run code."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.suite.actions import run_command
from benchmarks.suite.suite import StudentRun, Suite, load_suite
from benchmarks.suite.tables import example_backbones
from umt.backbones.spec import BackboneName
from umt.cli import cli
from umt.console import Console
from umt.errors import TrustError, UMTError

PLUG_IN = """
from pathlib import Path
from torch import nn
from umt.backbones import Backbone, Features, Preprocess

Path(__file__).with_name("it-ran").touch()

class Patches(Backbone):
    def __init__(self, width=8):
        super().__init__(Preprocess(size_multiple=8), channels=[width], strides=[8], dim=width)
        self.embed = nn.Conv2d(3, width, 8, 8)

    def extract(self, images, maps):
        fmap = self.embed(images)
        return Features(fmap.mean((2, 3)), None, [fmap for _ in maps])
"""


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["run", *arguments])


def test_the_mini_suite_distils_its_student_from_its_own_data(tmp_path: Path) -> None:
    names = example_backbones(load_suite("mini"), tmp_path, tmp_path, Console(quiet=True), (), dry_run=True)
    student = f"{tmp_path}/students/umt-student/student.pth"
    assert names[:3] == (
        BackboneName("UMT student", student),
        BackboneName("UMT student, lite0 head", f"{student}#lite0"),
        BackboneName("UMT student, lite2 head", f"{student}#lite2"),
    )
    assert names[3:] == (
        BackboneName("EfficientNet-Lite0", "pypi:tf_efficientnet_lite0"),
        BackboneName("EfficientNet-Lite2", "pypi:tf_efficientnet_lite2"),
    )


@pytest.mark.slow
def test_a_student_that_cannot_be_distilled_is_named(tmp_path: Path) -> None:
    suite = replace(load_suite("mini"), example_students=(StudentRun("A", "no-such-recipe"),))
    with pytest.raises(UMTError, match=r"`umt distill --recipe no-such-recipe .*` ended with exit status 2"):
        example_backbones(suite, tmp_path, tmp_path, Console(quiet=True), (), dry_run=False)


@pytest.fixture
def example(small_suite: Callable[..., Any]) -> Callable[[str], tuple[Any, list[str]]]:
    """A small suite with an example, and the options to run it."""

    def make(text: str) -> tuple[Any, list[str]]:
        small = small_suite()
        small.file.write_text(small.file.read_text().replace("example: []\n", f"{text}\n"))
        return small, ["--suite", str(small.file), "--data-root", str(small.data_root), "--out", str(small.out)]

    return make


def test_the_plan_shows_what_would_be_distilled_and_runs_nothing(example: Callable[[str], Any]) -> None:
    small, options = example("example_students: [{label: A, recipe: mini-cnn-pypi}]")
    shown = run(*options, "--dry-run").stdout
    assert "would run: umt distill --recipe mini-cnn-pypi" in shown
    assert f"{small.out}/students/a/student.pth: no such weight file" in shown
    named = run("--backbone", "timm:test_resnet?pretrained=false", *options, "--dry-run").stdout
    assert "umt distill" not in named, "whoever names a backbone needs no example"
    assert not small.out.exists()


@pytest.mark.parametrize("text", ["os:system?command=touch MADE", "plug.py:Patches", "../outside.pth"])
def test_an_example_runs_no_code_and_leaves_no_folder(
    example: Callable[[str], Any], tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small, options = example(f"example: ['Mine={text}']")
    (small.file.parent / "plug.py").write_text(PLUG_IN)
    for dry in ([], ["--dry-run"]):
        refused = run(*options, *dry)
        assert isinstance(refused.exception, TrustError)
        assert f"{small.file}: field 'example': " in str(refused.exception)
    assert not list(tmp_path.rglob("MADE"))
    assert not list(tmp_path.rglob("it-ran"))


def test_a_trusted_suite_runs_its_code_and_the_plan_says_so(
    example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    small, options = example("example: ['Mine=plug.py:Patches']")
    monkeypatch.chdir(small.file.parent)
    (small.file.parent / "plug.py").write_text(PLUG_IN)
    planned = run(*options, "--trust", small.file.name, "--dry-run")
    assert planned.exit_code == 0, planned.output
    assert "Mine  plug.py:Patches" in planned.stdout
    assert "runs code of plug.py" in planned.stdout


def test_a_suite_cannot_choose_where_results_go_nor_reach_the_environment(
    example: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    small, options = example("example: ['A{out.__class__.__init__.__globals__[os].environ[SECRET]}=timm:no{out}']")
    assert "s3cret" not in run(*options, "--dry-run").output
    for field in ("name: /absolute", "source: paper"):
        small.file.write_text(f"{small.file.read_text()}{field}\n")
        refused = run(*options, "--dry-run")
        assert f"field '{field.partition(':')[0]}': a suite is called after its file" in str(refused.exception)
        small.file.write_text(small.file.read_text().replace(f"{field}\n", ""))


@pytest.mark.parametrize("field", ["prepare: [[cache, prune]]", "tables: [{number: 6, analyses: [[cache, prune]]}]"])
def test_a_suite_holds_no_commands(example: Callable[[str], Any], field: str) -> None:
    small, options = example("example: []")
    small.file.write_text(f"{small.file.read_text()}{field}\n")
    assert "unknown field" in str(run(*options).exception)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["socket", "click", "submitit", "cloudpickle", "benchmarks", "umt", "torch"])
def test_child_processes_import_nothing_from_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / f"{name}.py").write_text("from pathlib import Path\nPath(__file__).with_name('it-ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    run_command(["recipes"])
    code = (
        "import subprocess, sys\n"
        "from umt.safe_path import leave_current_folder, safe_path\n"
        "if __name__ == '__main__':\n"
        "    leave_current_folder()\n"
        "    from benchmarks.jobs.forkserver import fork_server, call\n"
        "    print(call(fork_server(), 'benchmarks.suite.suite:suite_names'))\n"
        "    with safe_path():\n"
        "        subprocess.run([sys.executable, '-m', 'submitit.core._submit'])\n"
    )
    # -P: that the first process starts in a strange folder is its user's choice
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, timeout=120)
    assert "'mini'" in done.stdout, done.stderr
    assert not (tmp_path / "it-ran").exists()


def test_suites_name_files_beside_them_alone(tmp_path: Path) -> None:
    from benchmarks.suite.suite import FOLDER

    base = (FOLDER / "mini.yaml").read_text()
    for change in (
        base.replace("dataset: imagenet, protocol: mini", "dataset: imagenet, protocol: ../../x.yaml", 1),
        base.replace("recipe: mini-cnn-pypi, heads", "recipe: /etc/x.yaml, heads", 1),
    ):
        (tmp_path / "s.yaml").write_text(change)
        with pytest.raises(TrustError, match="lies outside"):
            load_suite(str(tmp_path / "s.yaml"))
    (tmp_path / "s.yaml").write_text(base.replace("protocol: mini", "protocol: ../../../x", 1))
    with pytest.raises(TrustError, match="lies outside"):
        _ = load_suite(str(tmp_path / "s.yaml")).columns[0].protocol_name


def test_a_suite_is_called_after_its_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: T\nabout: A\nseeds: 1\nembedded_data: true\ncolumns: []\n")
    suite: Suite = load_suite(str(tmp_path / "mine.yaml"))
    assert (suite.name, suite.source) == ("mine", str(tmp_path / "mine.yaml"))
