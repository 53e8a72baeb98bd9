"""Short names, hooks, the workflow and the images call what is there; make, hooks and images themselves do not run."""

from __future__ import annotations

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TARGETS = ("setup", "test", "fast", "lint", "docs", "example")


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("target", TARGETS)
def test_a_target_calls_scripts_that_are_there(target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    scripts = re.findall(r"(?:bash|source) (\S+\.sh)", done.stdout)
    assert scripts
    assert all((ROOT / script).is_file() for script in scripts)


def test_the_workflow_and_the_hooks_run_the_checks_of_the_project() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert [step["run"] for step in jobs["ci"]["steps"] if "run" in step] == ["bash .ci/run"]
    (hooks,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert hooks["repo"] == "local"
    assert {hook["entry"].split()[0] for hook in hooks["hooks"]} == {"ruff", "mypy"}


@pytest.mark.parametrize(
    ("name", "copied"), [("Dockerfile", r"^COPY (.+) \S+$"), ("umt-bench.def", r"^    (\S+) /opt/umt-bench/$")]
)
def test_an_image_holds_every_package(name: str, copied: str) -> None:
    config = ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    packages = {line.rstrip("*") for line in config["options.packages.find"]["include"].split()}
    recipe = (ROOT / "containers" / name).read_text(encoding="utf-8")
    sources = {path for line in re.findall(copied, recipe, re.MULTILINE) for path in line.split()}
    assert packages <= sources
    assert all((ROOT / path).exists() for path in sources)
