"""Whatever the fields of a checkpoint hold: a value, or a UMTError of one line, and soon."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umt.backbones import create_backbone
from umt.backbones.checkpoint import read_checkpoint
from umt.distill.distiller import Distiller
from umt.distill.recipe import DistillRecipe
from umt.distill.train import save_student
from umt.errors import UMTError

QUICK = settings(
    max_examples=40,
    deadline=10_000,  # milliseconds: none of them may take all day
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
Outcome = Callable[[Callable[[], object]], None]


def endless() -> list[Any]:
    """A list that holds itself, which a pickle can say."""
    values: list[Any] = []
    values.append(values)
    return values


def unfolding() -> list[Any]:
    """Forty short lists, each of which holds the one before twice: 2^40 values to whoever walks through them."""
    values: list[Any] = [0]
    for _ in range(40):
        values = [values, values]
    return values


def deep() -> list[Any]:
    values: list[Any] = []
    for _ in range(300):
        values = [values]
    return values


MONSTERS = (endless, unfolding, deep)
NUMBERS = st.one_of(st.integers(-3, 3), st.floats(), st.sampled_from([10**400, -1, 0, True]))
TEXTS = st.one_of(st.text(max_size=6), st.sampled_from(["\x1b[2J\n", "\ud800", "timm:", "x.pth", "os:system", "text"]))
TENSORS = st.sampled_from(
    [
        torch.tensor(float("nan")),
        torch.zeros(0),
        torch.zeros(2, 2).to_sparse(),
        torch.zeros(2, dtype=torch.complex64),
        torch.empty(3, device="meta"),
    ]
)
LEAVES = st.one_of(st.none(), NUMBERS, TEXTS, TENSORS, st.binary(max_size=3), st.just({1}), st.just(1j))
KEYS = st.one_of(TEXTS, st.sampled_from(["seed", "spec", "pretrained", "num_classes"]), st.integers(0, 2), st.none())
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.fixture
def content(tmp_path: Path, recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller]) -> Any:
    """Return the content of the file of a small student with two spaces."""
    spec = recipe("interaction.heads=4")
    save_student(tmp_path / "base.pth", spec, distiller(spec).eval(), {"images": 0}, {"losses": {}})
    content = torch.load(tmp_path / "base.pth", weights_only=True)
    content["provenance"] = {"recipe": {"teachers": [{"name": "lite2", "weights": None}]}}  # all that a head asks of it
    content["spaces"][1].update(kind="clip", teacher="open_clip:RN50")
    return content


def places(content: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """Each field that is declared, by what holds it and its key; of weights and of lists one is as good as all."""
    keys = list(content if isinstance(content, dict) else range(len(content)))
    for key in keys[:1] if isinstance(content, list) or name == "state_dict" else keys:
        yield content, key
        if isinstance(content[key], (dict, list)) and content[key]:
            yield from places(content[key], str(key))


WAYS = st.sampled_from(["exchange", "exchange", "exchange", "remove", "add"])


def changed(content: Any, number: int, way: str, key: Any, value: Any) -> Any:
    """The content with one field exchanged, removed, or in company of one that it does not have."""
    content = copy.deepcopy(content)
    there = list(places(content, ""))
    inner, name = there[number % len(there)]
    if way == "remove":
        del inner[name]
    else:
        inner[key if way == "add" and isinstance(inner, dict) else name] = value
    return content


CHANGES = {"number": st.integers(0, 999), "way": WAYS, "key": KEYS, "value": VALUES}


@QUICK
@given(**CHANGES)
def test_fields_are_read_or_named(tmp_path: Path, content: Any, outcome: Outcome, **change: Any) -> None:
    torch.save(changed(content, **change), tmp_path / "x.pth")
    outcome(lambda: read_checkpoint(tmp_path / "x.pth"))


@QUICK
@given(**CHANGES)
def test_students_and_heads_are_built_or_refused(tmp_path: Path, content: Any, outcome: Outcome, **change: Any) -> None:
    torch.save(changed(content, **change), tmp_path / "x.pth")
    outcome(lambda: create_backbone(str(tmp_path / "x.pth")))
    outcome(lambda: create_backbone(f"{tmp_path / 'x.pth'}#lite2"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("options.text", 1),  # what the parameters of our own functions are called
        ("options.self", 1),
        ("options.size", "x"),
        ("options.size", 10**400),
        ("options.std", [1, 2, 10**400]),
        ("options.depth", 0),
        ("options.layers", []),
        ("options.checkpoint_path", "/other.pth"),
        ("preprocess.mean", [10**400] * 3),
        ("preprocess.std", [float("nan")] * 3),
        ("preprocess.crop_pct", float("inf")),
        ("preprocess.crop_pct", 1e-300),
        ("preprocess.interpolation", "other"),
        ("preprocess.size", 10**7),
    ],
)
def test_students_that_cannot_be_are_refused(tmp_path: Path, content: Any, field: str, value: Any) -> None:
    part, _, name = field.partition(".")
    content["student"][part][name] = value
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(UMTError):
        create_backbone(str(tmp_path / "x.pth"))


@pytest.mark.parametrize("monster", MONSTERS)
@pytest.mark.parametrize("field", ["provenance", "student.options", "interaction.options", "version", "spaces"])
def test_small_files_without_an_end_are_refused(
    tmp_path: Path, content: Any, field: str, monster: Callable[[], Any]
) -> None:
    *path, last = field.split(".")
    inner = content[path[0]] if path else content
    inner[last] = {"a": monster()} if isinstance(inner[last], dict) else monster()
    torch.save(content, tmp_path / "x.pth", pickle_protocol=2)
    with pytest.raises(UMTError, match=rf"x\.pth: field '{field}'"):
        read_checkpoint(tmp_path / "x.pth")


def test_the_content_is_sound(tmp_path: Path, content: Any) -> None:
    """That everything is an error would satisfy the tests above as well."""
    torch.save(content, tmp_path / "x.pth")
    assert create_backbone(f"{tmp_path / 'x.pth'}#lite2").dim
