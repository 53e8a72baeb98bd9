"""Dataclasses from YAML: every value is of its declared type, every mistake is one line that names where it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from umt.declarations import build, read_mapping
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
