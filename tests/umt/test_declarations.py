"""Dataclasses from YAML: every value is of its declared type, every mistake is one line that names where it is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from umt import declarations
from umt.declarations import build, parse, read_json, read_mapping
from umt.errors import UMTError


@dataclass(frozen=True)
class Inner:
    name: str
    weight: float = 1.0


@dataclass(frozen=True)
class Outer:
    epochs: int
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    frozen: bool = True
    augment: str | None = None
    size: int | str | None = None
    rate: float | None = None
    inner: Inner = Inner("default")
    others: tuple[Inner, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    names: Sequence[str] = ()
    rates: dict[str, list[float]] = field(default_factory=dict)
    table: tuple[tuple[str, ...], ...] = ()
    steps: tuple[int, ...] | str | None = None
    inners: Mapping[str, Inner] = field(default_factory=dict)
    anything: Any = None


def outer(**values: Any) -> Outer:
    return build(Outer, {"epochs": 1, **values}, "f.yaml")


def test_what_is_left_out_has_its_default() -> None:
    assert outer() == Outer(1)


def test_integers_become_floats_and_lists_tuples() -> None:
    built = outer(lr=1, betas=[0.5, 0.6], rate=2)
    assert built == Outer(1, 1.0, (0.5, 0.6), rate=2.0)
    assert isinstance(built.lr, float)
    assert isinstance(built.rate, float)


def test_mappings_become_dataclasses_at_any_depth() -> None:
    built = outer(inner={"name": "a", "weight": 2}, others=[{"name": "b"}, {"name": "c", "weight": 0.5}])
    assert built.inner == Inner("a", 2.0)
    assert built.others == (Inner("b"), Inner("c", 0.5))


@pytest.mark.parametrize("value", [96, "grid", None])
def test_a_union_admits_each_of_its_types(value: object) -> None:
    assert outer(size=value).size == value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": 1}, "f.yaml: unknown field 'epoch'. Did you mean epochs?"),
        ({"epochs": "ten"}, "f.yaml: field 'epochs' is 'ten', expected int"),
        ({"epochs": True}, "f.yaml: field 'epochs' is True, expected int"),
        ({"epochs": None}, "f.yaml: field 'epochs' is None, expected int"),
        ({"frozen": 1}, "f.yaml: field 'frozen' is 1, expected bool"),
        ({"lr": False}, "f.yaml: field 'lr' is False, expected float"),
        ({"augment": 3}, "f.yaml: field 'augment' is 3, expected str"),
        ({"rate": "high"}, "f.yaml: field 'rate' is 'high', expected float"),
        ({"size": 1.5}, "f.yaml: field 'size' is 1.5, expected int or str"),
        ({"inner": "a"}, "f.yaml: field 'inner' is 'a', expected Inner"),
        ({"inner": {}}, "f.yaml: field 'inner': field 'name' is missing"),
        ({"others": [{"name": "b", "wait": 1}]}, "f.yaml: field 'others': unknown field 'wait'. Did you mean weight?"),
    ],
)
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UMTError) as caught:
        outer(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(UMTError, match=r"f\.yaml: field 'epochs' is missing"):
        build(Outer, {}, "f.yaml")


def test_a_file_is_read_as_a_mapping(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: 1\nb: {c: [x, 2.5]}\n")
    assert read_mapping(tmp_path / "f.yaml") == {"a": 1, "b": {"c": ["x", 2.5]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"a: [", "not valid YAML"), (b"\xff\xfe\xfa", "not valid YAML"), (b"- 1", "no mapping"), (b"", "no mapping")],
)
def test_another_content_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "f.yaml").write_bytes(content)
    with pytest.raises(UMTError, match=rf"f\.yaml: .*{message}") as caught:
        read_mapping(tmp_path / "f.yaml")
    assert "\n" not in str(caught.value)


HUGE = int("f" * 5000, 16)  # Python refuses to print it
DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]


def test_values_are_read_in_depth() -> None:
    built = outer(
        counts={"a": 1}, names=["x"], rates={"a": [1, 2.5]}, table=[["a"], []], steps=[1], inners={"i": {"name": "n"}}
    )
    assert (built.counts, built.names, built.rates) == ({"a": 1}, ["x"], {"a": [1.0, 2.5]})
    assert (built.table, built.steps, built.inners) == ((("a",), ()), (1,), {"i": Inner("n")})
    assert isinstance(built.rates["a"][0], float)
    assert outer(steps="all").steps == "all"
    assert outer(anything={"a": [1, {2: None}]}).anything == {"a": [1, {2: None}]}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"counts": {"a": "1"}}, "f.yaml: field 'counts': 'a' is '1', expected int"),
        ({"counts": {1: 1}}, "f.yaml: field 'counts': 1 is 1, expected str"),
        ({"counts": [1]}, "f.yaml: field 'counts' is [1], expected Mapping"),
        ({"names": "abc"}, "f.yaml: field 'names' is 'abc', expected list"),
        ({"names": ["a", 2]}, "f.yaml: field 'names' is 2, expected str"),
        ({"rates": {"a": [float("nan")]}}, "f.yaml: field 'rates': 'a' is nan, expected a finite float"),
        ({"table": [["a", 1]]}, "f.yaml: field 'table' is 1, expected str"),
        ({"steps": [1, "a"]}, "f.yaml: field 'steps' is [1, 'a'], expected tuple or str"),
        ({"inners": {"i": {"weight": 1}}}, "f.yaml: field 'inners': 'i': field 'name' is missing"),
        ({"epochs": 1 << 64}, "f.yaml: field 'epochs' is an integer of 65 bits, expected at most 64 bits"),
        ({"epochs": HUGE}, "f.yaml: field 'epochs' is an integer of 20000 bits, expected at most 64 bits"),
        ({"lr": HUGE}, "f.yaml: field 'lr' is an integer beyond any float, expected float"),
        ({"augment": HUGE}, "f.yaml: field 'augment' is an integer of 20000 bits, expected str"),
        ({"names": [[HUGE]]}, "f.yaml: field 'names' is a list, expected str"),
        ({"anything": [{"a": HUGE}]}, "f.yaml: field 'anything' is an integer of 20000 bits, expected at most 64 bits"),
        (
            {"anything": {HUGE: 1}},
            "f.yaml: field 'anything' is an integer of 20000 bits, expected a key of text or 64 bits",
        ),
        ({"anything": DEEP}, "f.yaml: field 'anything' has more than 60 lists or mappings in each other"),
        ({HUGE: 1}, "f.yaml: unknown field 'an integer of 20000 bits'"),
    ],
)
def test_mistakes_in_depth_are_named(values: dict[Any, Any], message: str) -> None:
    with pytest.raises(UMTError) as caught:
        build(Outer, {"epochs": 1, **values}, "f.yaml")
    assert str(caught.value).startswith(message)
    assert len(str(caught.value)) < 400


def test_type_hints_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Fresh:
        a: int

    calls: list[object] = []
    monkeypatch.setattr(declarations, "get_type_hints", lambda kind: calls.append(kind) or {"a": int})
    assert [build(Fresh, {"a": value}, "f").a for value in range(3)] == [0, 1, 2]
    assert calls == [Fresh]
    assert get_type_hints(Inner)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a: 1\nb: 2\na: 3", "'a'"),
        ('a: 1\n"a": 3', "'a'"),
        ("x:\n  lr: 1\n  lr: 2", "'lr'"),
        ("x: [{lr: 1, lr: 2}]", "'lr'"),
        ("16: a\n0x10: b", "16"),
        ("b: &b {c: 1}\na:\n  <<: *b\n  <<: *b", "'<<'"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path: Path, text: str, name: str) -> None:
    (tmp_path / "f.yaml").write_text(text)
    with pytest.raises(UMTError, match=rf"f\.yaml: .*key {name} is given twice, again in line \d"):
        read_mapping(tmp_path / "f.yaml")


def test_merged_mappings_are_overridden() -> None:
    read = parse("base: &base {lr: 1, epochs: 2}\na:\n  <<: *base\n  lr: 5\nb: {<<: [*base], c: 3}")
    assert read["a"] == {"lr": 5, "epochs": 2}
    assert read["b"] == {"lr": 1, "epochs": 2, "c": 3}
    assert read["base"] == {"lr": 1, "epochs": 2}


def test_special_files_are_neither_waited_for_nor_read_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name, reason in (("pipe", "a pipe"), ("zero", "a device"), ("folder", "a folder")):
        with pytest.raises(UMTError, match=f"{name}: cannot be read .is {reason}, not a plain file.; "):
            read_mapping(tmp_path / name)
        with pytest.raises(UMTError, match=f"{name}: cannot be read .is {reason}, not a plain file.; mend it"):
            read_json(tmp_path / name, "a thing", "mend it")
    (tmp_path / "large").write_text('{"a": "' + "x" * 100 + '"}')
    with pytest.raises(UMTError, match="has 109 bytes, at most 50 are read"):
        read_json(tmp_path / "large", "a thing", "mend it", max_bytes=50)
    monkeypatch.setattr(declarations, "MAX_YAML_BYTES", 50)
    with pytest.raises(UMTError, match="has 109 bytes, at most 50 are read"):
        read_mapping(tmp_path / "large")


def test_links_that_a_user_makes_are_followed_unless_refused(tmp_path: Path) -> None:
    (tmp_path / "real").write_text('{"a": 1}')
    (tmp_path / "link").symlink_to("real")
    assert read_mapping(tmp_path / "link") == read_json(tmp_path / "link", "a thing", "mend it") == {"a": 1}
    with pytest.raises(UMTError, match=r"link: cannot be read .is a link"):
        read_json(tmp_path / "link", "a thing", "mend it", links=False)
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none", "a thing", "mend it")


@pytest.mark.parametrize("content", ['{"a": 1' + "0" * 30 + "}", '{"a": ' + "[" * 100 + "]" * 100 + "}"])
def test_json_holds_plain_values_of_bounded_size(tmp_path: Path, content: str) -> None:
    (tmp_path / "f.json").write_text(content)
    with pytest.raises(UMTError, match=r"f\.json: not a thing \(.*; mend it"):
        read_json(tmp_path / "f.json", "a thing", "mend it")
