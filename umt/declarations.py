"""Frozen dataclasses from YAML: protocols, suites and recipes are data, and a mistake in them is one clear line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from umt.errors import DeclarationError, UMTError, first_line, unknown_name

Declared = TypeVar("Declared")
EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")  # 1e-3 is a number for everyone but YAML 1.1


class PlainLoader(yaml.SafeLoader):
    """YAML without aliases in what has a name itself: a dozen such lines unfold into more than any memory holds."""

    named = 0  # anchors of the nodes around the one that is read

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            if self.named:
                raise yaml.YAMLError(f"alias *{event.anchor} in what has a name itself; write out what it stands for")
            return super().compose_node(parent, index)
        own = event.anchor is not None
        self.named += own
        node = super().compose_node(parent, index)
        self.named -= own
        return node


def parse(text: str) -> Any:
    """The plain value that a YAML text holds; UMTError says why it is none."""
    try:
        return PlainLoader(text).get_single_data()
    except Exception as error:  # '2001-13-01', '!!bool x' and deep nesting raise whatever Python does on them
        raise DeclarationError(f"not valid YAML ({first_line(error)})") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; UMTError where it holds anything else."""
    try:
        record = parse(path.read_text(encoding="utf-8-sig"))
    except UMTError as error:
        raise type(error)(f"{path}: {error}; correct it") from error
    except (UnicodeDecodeError, OSError) as error:
        raise DeclarationError(f"{path}: not valid YAML ({first_line(error)}); save it as UTF-8") from error
    if not isinstance(record, dict):
        raise DeclarationError(f"{path}: holds no mapping of fields to values")
    return record


def refuse_fields(record: Mapping[str, Any], names: Sequence[str], path: Path, reason: str) -> None:
    """Raise DeclarationError if a file sets one of the fields that it does not decide."""
    for name in names:
        if name in record:
            raise DeclarationError(f"{path}: field '{name}': {reason}; remove the field")


def read_json(path: Path, kind: str, remedy: str) -> dict[str, Any]:
    """The object in a JSON file; UMTError, which ends in the remedy, where it is not of the kind: no object."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DeclarationError(f"{path}: not {kind} ({first_line(error)}); {remedy}") from error
    if not isinstance(record, dict):
        raise DeclarationError(f"{path}: not {kind} (holds no object of fields); {remedy}")
    return record


def build(kind: type[Declared], values: dict[str, Any], source: Path | str) -> Declared:
    """A frozen dataclass from YAML values: unknown, missing and mistyped fields are errors that name the source."""
    hints = get_type_hints(kind)
    declared = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in declared:
            raise DeclarationError(f"{source}: {unknown_name('field', str(name), declared)}")
    for name, item in declared.items():
        if name not in values and item.default is MISSING and item.default_factory is MISSING:
            raise DeclarationError(f"{source}: field '{name}' is missing")
    typed = {name: _typed(hints[name], value, f"{source}: field '{name}'") for name, value in values.items()}
    try:
        return kind(**typed)
    except UMTError as error:  # values that do not go together
        raise type(error)(f"{source}: {error}") from error


def scalar(text: str) -> Any:
    """A YAML value as people write it on a command line; UMTError where it is none."""
    try:
        return float(text) if EXPONENT.fullmatch(text) else parse(text)
    except UMTError as error:
        raise DeclarationError(f"value '{text}' is no number, word or [list]") from error


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Lists become tuples, mappings nested dataclasses and integers floats as declared; the rest has its type."""
    if get_origin(hint) in (Union, UnionType):
        return _one_of(get_args(hint), value, where)
    kind = get_origin(hint) or hint
    if kind is tuple and isinstance(value, list):
        return _tuple(get_args(hint), value, where)
    if is_dataclass(hint) and isinstance(value, dict):
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return _float(value, where)
    if isinstance(kind, type) and (not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))):
        raise DeclarationError(f"{where} is {value!r:.80}, expected {'list' if kind is tuple else kind.__name__}")
    return value


def _float(value: float, where: str) -> float:
    """A finite one: results and checkpoints, which keep what was declared, hold no other."""
    try:
        number = float(value)
    except OverflowError as error:
        raise DeclarationError(f"{where} is an integer beyond any float, expected float") from error
    if not math.isfinite(number):
        raise DeclarationError(f"{where} is {number}, expected a finite float")
    return number


def _tuple(kinds: tuple[Any, ...], values: list[Any], where: str) -> tuple[Any, ...]:
    """Values of `tuple[kind, ...]`, or of a tuple of so many kinds."""
    wanted = [kinds[0]] * len(values) if kinds[-1] is Ellipsis else list(kinds)
    if len(wanted) != len(values):
        raise DeclarationError(f"{where} is {values!r:.80}, expected {len(wanted)} values")
    return tuple(_typed(kind, value, where) for kind, value in zip(wanted, values, strict=True))


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """A value of a union: None where that is admitted, else of one of its types."""
    if value is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) == 1:
        return _typed(others[0], value, where)
    if not isinstance(value, tuple(others)):
        raise DeclarationError(f"{where} is {value!r:.80}, expected {' or '.join(kind.__name__ for kind in others)}")
    return value
