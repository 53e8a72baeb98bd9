"""Whatever a suite, protocol, recipe, spec or result says: a value, or a UMTError of one line, never anything else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.results import Data, Environment, Key, Result, read_result
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import FOLDER as SUITES
from benchmarks.suite.suite import load_suite
from benchmarks.tasks.finetune_settings import FinetuneSettings
from reports.results.store import read_store
from umt.backbones.spec import parse_spec
from umt.declarations import parse, scalar
from umt.distill.cache.cache import Manifest, check_key
from umt.distill.recipe import FOLDER as RECIPES
from umt.distill.recipe import load_recipe
from umt.errors import UMTError

QUICK = settings(
    max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just(10**400), st.just("\x1b[2J\n")
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
# what YAML's own constructors stumble over
ODD = ("2001-13-01", "!!bool x", "!!int ''", "!!timestamp x", "!!python/object/apply:os.getcwd []", "{[]: 1}", "? {}\n")
TEXTS = st.one_of(st.text(max_size=60), st.sampled_from([*ODD, "[" * 3000, "&a [*a]", "\x00", "1: 2", "~: 1"]))

Outcome = Callable[[Callable[[], object]], None]

BASE_PROTOCOL = yaml.safe_load((SUITES.parents[1] / "tasks/protocols/imagenet_finetune/paper.yaml").read_text())
BASE_RECIPE = yaml.safe_load((RECIPES / "mini-cnn.yaml").read_text())
BASE_SUITE = yaml.safe_load((SUITES / "mini.yaml").read_text())
RESULT = asdict(
    Result(
        key=Key("Mine", "0" * 8, "knn", "cub", "paper", "0" * 12, "0" * 16, seed=0),
        spec="timm:resnet18",
        architecture="resnet18",
        suite="mini",
        protocol_version=1,
        metrics={"top1": 50.0},
        units={"top1": "%"},
        lower_is_better=[],
        data=Data("CUB", "", official=False, sizes={"test": 2}, root="/data"),
        environment=Environment(None, None, {}, "cpu", "3.10", "2025-01-01T00:00:00"),
        wall_seconds=1.0,
    )
)
MANIFEST = {
    "key": {"images": {"count": 4, "fingerprint": "0"}, "pixels": False, "teachers": {"dino": {}}},
    "shapes": [{"name": "dino", "summary": 4, "features": 4}],
    "visits": 1,
    "shard": 2,
    "seed": 0,
}


@st.composite
def changed(draw: st.DrawFn, base: dict[str, Any]) -> dict[str, Any]:
    """The base with one value, at any depth, exchanged, or one key removed or added."""
    record = json.loads(json.dumps(base))
    target = record
    while True:
        name = draw(st.sampled_from(sorted(target) if isinstance(target, dict) else list(range(len(target)))))
        inner = target[name]
        if not isinstance(inner, (dict, list)) or not inner or draw(st.booleans()):
            break
        target = inner
    if isinstance(target, dict) and draw(st.sampled_from([True, False, False])):
        del target[name]
    else:
        target[name] = draw(VALUES)
    return record


def write_yaml(path: Path, record: Any) -> str:
    path.write_text(yaml.safe_dump(record), encoding="utf-8")
    return str(path)


@QUICK
@given(changed(BASE_PROTOCOL))
def test_protocols(outcome: Outcome, tmp_path: Path, record: dict[str, Any]) -> None:
    name = write_yaml(tmp_path / "p.yaml", record)
    outcome(lambda: load_protocol("imagenet_finetune", name, FinetuneSettings))


@QUICK
@given(changed(BASE_RECIPE))
def test_recipes(outcome: Outcome, tmp_path: Path, record: dict[str, Any]) -> None:
    name = write_yaml(tmp_path / "r.yaml", record)
    outcome(lambda: load_recipe(name))
    write_yaml(tmp_path / "child.yaml", {"extends": "r", "interaction": record.get("training")})
    outcome(lambda: load_recipe(str(tmp_path / "child.yaml")))


@QUICK
@given(changed(BASE_SUITE))
def test_suites(outcome: Outcome, tmp_path: Path, record: dict[str, Any]) -> None:
    name = write_yaml(tmp_path / "s.yaml", record)
    outcome(lambda: load_suite(name).measured)


@QUICK
@given(TEXTS)
def test_text_that_is_hardly_yaml(outcome: Outcome, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(text, encoding="utf-8")
    name = str(tmp_path / "x.yaml")
    for read in (load_suite, load_recipe, lambda name: load_protocol("imagenet_finetune", name, FinetuneSettings)):
        outcome(lambda read=read: read(name))


@QUICK
@given(st.one_of(st.binary(max_size=40), st.sampled_from(["latin-1 é".encode("latin-1"), "é: 1".encode("utf-16")])))
def test_bytes_that_are_hardly_text(outcome: Outcome, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.yaml").write_bytes(content)
    outcome(lambda: load_recipe(str(tmp_path / "x.yaml")))
    (tmp_path / "x.json").write_bytes(content)
    outcome(lambda: read_result(tmp_path / "x.json"))


@QUICK
@given(st.text(max_size=30), TEXTS)
def test_changes_of_a_recipe(outcome: Outcome, field: str, value: str) -> None:
    for path in (field, f"training.{field}", f"teachers.{field}", "training.lr", "teachers", "teachers.x.kind"):
        outcome(lambda path=path: load_recipe("mini-cnn", [f"{path}={value}"]))


@QUICK
@given(st.one_of(st.text(), st.builds("timm:a?{}={}#{}".format, st.text(max_size=5), TEXTS, st.text(max_size=5))))
def test_specs(outcome: Outcome, text: str) -> None:
    outcome(lambda: parse_spec(text).is_file)
    outcome(lambda: scalar(text))


@QUICK
@given(st.one_of(changed(RESULT), VALUES))
def test_results(outcome: Outcome, tmp_path: Path, record: Any) -> None:
    path = tmp_path / "results" / "mine" / "job.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record), encoding="utf-8")
    outcome(lambda: read_result(path))
    records, problems = read_store(tmp_path / "results")
    assert len(records) + len(problems) == 1  # a bad file hides no good one, and is itself not hidden
    assert all(str(path) in str(problem) for problem in problems)


@QUICK
@given(st.one_of(changed(MANIFEST), VALUES))
def test_manifests_of_cached_teachers(outcome: Outcome, tmp_path: Path, record: Any) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(record), encoding="utf-8")
    outcome(lambda: check_key(tmp_path, Manifest.read(tmp_path).key, MANIFEST["key"]))


def test_json_that_is_too_deep(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(UMTError, match=r"manifest\.json: damaged"):
        Manifest.read(tmp_path)
    with pytest.raises(UMTError, match=r"manifest\.json: not a result file"):
        read_result(tmp_path / "manifest.json")


def test_a_dozen_lines_cannot_unfold_into_gigabytes() -> None:
    """Each line names the one before nine times: 9^12 leaves, all of which an error message would print."""
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 13))]
    with pytest.raises(UMTError, match=r"alias \*a0 inside a node that has an anchor; write out its value instead"):
        parse("\n".join(lines))
    assert parse("a: &a [x]\nb: *a\nc: [*a, *a]") == {"a": ["x"], "b": ["x"], "c": [["x"], ["x"]]}


def test_bases_are_sound(tmp_path: Path) -> None:
    """That everything is an error would satisfy the tests above as well."""
    load_protocol("imagenet_finetune", write_yaml(tmp_path / "p.yaml", BASE_PROTOCOL), FinetuneSettings)
    load_recipe(write_yaml(tmp_path / "r.yaml", BASE_RECIPE))
    load_suite(write_yaml(tmp_path / "s.yaml", BASE_SUITE))
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST))
    assert Manifest.read(tmp_path).missing(tmp_path) == [0, 1]
    path = tmp_path / "results" / "mine" / "job.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(RESULT))
    assert len(read_store(tmp_path / "results")[0]) == 1


@pytest.mark.parametrize("record", [BASE_RECIPE, {"extends": ["mini-cnn"]}, {"extends": 3}])
def test_after_mending_the_same_command_goes_on(tmp_path: Path, record: dict[str, Any]) -> None:
    path = tmp_path / "r.yaml"
    write_yaml(path, {**record, "teachers": "dino"})
    with pytest.raises(UMTError, match=r"r\.yaml: field '(teachers|extends)'"):
        load_recipe(str(path))
    write_yaml(path, BASE_RECIPE)
    assert load_recipe(str(path)).teachers
