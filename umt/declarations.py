"""Frozen dataclasses from YAML: protocols, suites and recipes are data, and a mistake in them is one clear line."""

from __future__ import annotations

import re
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from umt.errors import DeclarationError, UMTError, unknown_name

Declared = TypeVar("Declared")
EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")  # 1e-3 is a number for everyone but YAML 1.1


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; UMTError where it holds anything else."""
    try:
        record = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DeclarationError(f"{path}: not valid YAML ({str(error).splitlines()[0]})") from error
    if not isinstance(record, dict):
        raise DeclarationError(f"{path}: holds no mapping of fields to values")
    return record


def build(kind: type[Declared], values: dict[str, Any], source: Path | str) -> Declared:
    """A frozen dataclass from YAML values: unknown, missing and mistyped fields are errors that name the source."""
    hints = get_type_hints(kind)
    declared = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in declared:
            raise DeclarationError(f"{source}: {unknown_name('field', name, declared)}")
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
        return float(text) if EXPONENT.fullmatch(text) else yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise DeclarationError(f"value '{text}' is no number, word or [list]") from error


def _typed(hint: Any, value: Any, where: str) -> Any:
    """Lists become tuples, mappings nested dataclasses and integers floats as declared; the rest has its type."""
    if get_origin(hint) in (Union, UnionType):
        return _one_of(get_args(hint), value, where)
    if get_origin(hint) is tuple and isinstance(value, list):
        return _tuple(get_args(hint), value, where)
    if is_dataclass(hint) and isinstance(value, dict):
        return build(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (hint is not bool and isinstance(value, bool))):
        raise DeclarationError(f"{where} is {value!r}, expected {hint.__name__}")
    return value


def _tuple(kinds: tuple[Any, ...], values: list[Any], where: str) -> tuple[Any, ...]:
    """Values of `tuple[kind, ...]`, or of a tuple of so many kinds."""
    wanted = [kinds[0]] * len(values) if kinds[-1] is Ellipsis else list(kinds)
    if len(wanted) != len(values):
        raise DeclarationError(f"{where} is {values}, expected {len(wanted)} values")
    return tuple(_typed(kind, value, where) for kind, value in zip(wanted, values, strict=True))


def _one_of(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    """A value of a union: None where that is admitted, else of one of its types."""
    if value is None and NoneType in kinds:
        return None
    others = [kind for kind in kinds if kind is not NoneType]
    if len(others) == 1:
        return _typed(others[0], value, where)
    if not isinstance(value, tuple(others)):
        raise DeclarationError(f"{where} is {value!r}, expected {' or '.join(kind.__name__ for kind in others)}")
    return value
