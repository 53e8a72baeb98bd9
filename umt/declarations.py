"""Frozen dataclasses from YAML: protocols, suites and recipes are data, and a mistake in them is one clear line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from umt.errors import DeclarationError, UMTError, first_line, unknown_name
from umt.files import read_plain
from umt.text import brief

Declared = TypeVar("Declared")
Reader = Callable[[Any], Any]  # gives the value as it is declared; its error goes on after "field 'NAME'"
MAX_BYTES = 64 << 20  # bytes of a JSON file
MAX_YAML_BYTES = 4 << 20  # people write it, and a megabyte takes seconds to parse
MAX_DEPTH = 60  # levels of lists and mappings; a thousand end Python's stack
MAX_PARTS = 1_000_000  # plain values in a level
INTEGERS = range(-(1 << 63), 1 << 64)
LEAVES = frozenset((str, bool, NoneType))  # types of plain values that are sound as they are
MERGE = "tag:yaml.org,2002:merge"  # tag of the key <<
EXPONENT = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+")  # 1e-3 is a number for everyone but YAML 1.1


class PlainLoader(yaml.SafeLoader):
    """A YAML loader that refuses keys that stand twice in a mapping, and aliases in a node that has a name itself.

    A dozen lines of such aliases unfold into more than any memory holds.
    """

    open_anchors = 0  # anchors of the nodes around the one that is read

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            if self.open_anchors:
                raise yaml.YAMLError(
                    f"alias *{event.anchor} inside a node that has an anchor; write out its value instead"
                )
            return super().compose_node(parent, index)
        has_anchor = event.anchor is not None
        self.open_anchors += has_anchor
        node = super().compose_node(parent, index)
        self.open_anchors -= has_anchor
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        names = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                name = "<<" if key.tag == MERGE else self.construct_object(key)
                if name in names:
                    line = key.start_mark.line + 1
                    raise yaml.YAMLError(f"key {brief(name)} is given twice, again in line {line}")
                names.add(name)
        return node


def parse(text: str) -> Any:
    """Return the plain value of a YAML text; UMTError if it is not valid YAML."""
    try:
        return PlainLoader(text).get_single_data()
    except Exception as error:  # '2001-13-01', '!!bool x' and deep nesting raise other errors of Python
        raise DeclarationError(f"not valid YAML ({first_line(error)})") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """Read the mapping in a YAML file; UMTError if the file holds anything else."""
    try:
        record = parse(read_plain(path, links=True, max_bytes=MAX_YAML_BYTES).decode("utf-8-sig"))
    except UMTError as error:
        raise type(error)(f"{path}: {error}; correct it") from error
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read ({error.strerror}); name a YAML file") from error
    except UnicodeDecodeError as error:
        raise DeclarationError(f"{path}: not valid YAML ({first_line(error)}); save it as UTF-8") from error
    if not isinstance(record, dict):
        raise DeclarationError(f"{path}: holds no mapping; write lines FIELD: VALUE")
    return record


def refuse_fields(record: Mapping[str, Any], names: Sequence[str], path: Path, reason: str) -> None:
    """Raise DeclarationError if a file sets one of the fields that it does not decide."""
    for name in names:
        if name in record:
            raise DeclarationError(f"{path}: field '{name}': {reason}; remove the field")


def read_json(path: Path, kind: str, remedy: str, *, links: bool = True, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Read the object in a JSON file; UMTError, which ends in the remedy, if it is not of the kind, or no object.

    links: whether the file may be a link. most: the largest file, in bytes, that is read. Raises FileNotFoundError if
    there is no file.
    """
    try:
        record = json.loads(read_plain(path, links=links, max_bytes=max_bytes).decode("utf-8"))
        check_plain(record, finite=False)  # `build` refuses such numbers, and names their fields
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DeclarationError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    except (ValueError, RecursionError, UMTError) as error:
        raise DeclarationError(f"{path}: not {kind} ({first_line(error)}); {remedy}") from error
    if not isinstance(record, dict):
        raise DeclarationError(f"{path}: not {kind} (holds no JSON object); {remedy}")
    return record


def build(kind: type[Declared], values: Mapping[str, Any], source: Path | str) -> Declared:
    """Build a frozen dataclass from plain values; unknown, missing and mistyped fields are errors that name the source.

    Types are checked in depth. Lists become tuples, mappings nested dataclasses and integers floats, as declared.
    """
    try:
        return _built(kind, values)
    except UMTError as error:
        raise type(error)(f"{source}: {error}") from error


def check_plain(value: Any, *, finite: bool = True) -> Any:
    """Return a plain value: text, numbers of 64 bits, `finite` or not, lists, and mappings by text or number.

    Raises UMTError if it holds anything else, nests too deep, or is too large. It goes level by level,
    so that it ends: in a file a list may hold itself, or hold one list many times which does the same.
    """
    level = [value]
    for _ in range(MAX_DEPTH):
        groups = [_parts(part, finite) for part in level]
        if sum(map(len, groups)) > MAX_PARTS:
            raise DeclarationError(f" holds more than {MAX_PARTS:,} values in a level")
        level = [part for group in groups for part in group if type(part) not in LEAVES]
        if not level:
            return value
    raise DeclarationError(f" has more than {MAX_DEPTH} lists or mappings in each other")


def _parts(value: Any, finite: bool) -> Collection[Any]:
    """Return the values in a list or mapping; none for a number that is sound."""
    if isinstance(value, Mapping):
        for key in value:
            if type(key) is not str and (type(key) is not int or key not in INTEGERS):
                raise _unexpected(key, "a key of text or 64 bits")
        return value.values()
    if isinstance(value, (list, tuple)):
        return value
    if type(value) is int and value not in INTEGERS:
        raise _unexpected(value, "at most 64 bits")
    if finite and type(value) is float and not math.isfinite(value):
        raise _unexpected(value, "a finite float")
    if type(value) not in (int, float, *LEAVES):
        raise _unexpected(value, "text, a number, a list or a mapping")
    return ()


def scalar(text: str) -> Any:
    """Read a YAML value as people write it on a command line; UMTError if it is not valid."""
    try:
        return float(text) if EXPONENT.fullmatch(text) else parse(text)
    except UMTError as error:
        raise DeclarationError(f"value '{text}' is no number, word or [list]") from error


def _built(kind: Any, values: Mapping[str, Any]) -> Any:
    readers, needed = _fields(kind)
    for name in values:
        if name not in readers:
            shown = name[:60] if isinstance(name, str) else brief(name)
            raise DeclarationError(str(unknown_name("field", shown, readers)))
    for name in needed:
        if name not in values:
            raise DeclarationError(f"field '{name}' is missing")
    return kind(**{name: _field(name, readers[name], value) for name, value in values.items()})


def _field(name: str, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except UMTError as error:
        raise type(error)(f"field '{name}'{error}") from error


@cache
def _fields(kind: Any) -> tuple[dict[str, Reader], list[str]]:
    """Return the reader of each field, and the fields without a default; looking up type hints takes long."""
    hints = get_type_hints(kind)
    needed = [item.name for item in fields(kind) if item.default is MISSING and item.default_factory is MISSING]
    return {item.name: _reader(hints[item.name]) for item in fields(kind)}, needed


@cache
def _reader(hint: Any) -> Reader:
    """Return the function that reads values of a type hint."""
    kind, arguments = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return partial(_one_of, arguments)
    if kind is tuple:
        return partial(_tuple, arguments)
    if is_dataclass(kind):
        return partial(_nested, kind)
    if kind in READERS:
        return READERS[kind]
    if kind in (dict, Mapping):
        return partial(_mapping, kind, *map(_reader, arguments or (Any, Any)))
    if kind in (list, Sequence):
        return partial(_list, _reader(*arguments or (Any,)))
    return partial(_instance, kind)


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _unexpected(value, "int")
    if value not in INTEGERS:
        raise _unexpected(value, "at most 64 bits")
    return value


def _float(value: Any) -> float:
    """Return a finite float: results and checkpoints, which keep the declared values, hold no other."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _unexpected(value, "float")
    try:
        number = float(value)
    except OverflowError as error:
        raise DeclarationError(" is an integer beyond any float, expected float") from error
    if not math.isfinite(number):
        raise DeclarationError(f" is {number}, expected a finite float")
    return number


def _mapping(kind: type, read_key: Reader, read_value: Reader, value: Any) -> dict[Any, Any]:
    if not isinstance(value, Mapping):
        raise _unexpected(value, kind.__name__)
    return {_entry(key, read_key, key): _entry(key, read_value, item) for key, item in value.items()}


def _entry(key: Any, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except UMTError as error:
        raise type(error)(f": {brief(key)}{error}") from error


def _list(read: Reader, value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise _unexpected(value, "list")
    return [read(item) for item in value]


def _tuple(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """Read values of `tuple[kind, ...]`, or of a tuple with a kind for each value."""
    if not isinstance(value, (list, tuple)):
        raise _unexpected(value, "list")
    item_kinds = [kinds[0]] * len(value) if kinds[-1] is Ellipsis else list(kinds)
    if len(item_kinds) != len(value):
        raise _unexpected(value, f"{len(item_kinds)} values")
    return tuple(_reader(kind)(item) for kind, item in zip(item_kinds, value, strict=True))


def _nested(kind: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        return _instance(kind, value)
    try:
        return _built(kind, value)
    except UMTError as error:
        raise type(error)(f": {error}") from error


def _one_of(kinds: tuple[Any, ...], value: Any) -> Any:
    """Read a value of a union: None if the union admits it, else a value of one of its types."""
    if value is None and NoneType in kinds:
        return None
    value_kinds = [kind for kind in kinds if kind is not NoneType]
    if len(value_kinds) == 1:
        return _reader(value_kinds[0])(value)
    for kind in value_kinds:
        with suppress(UMTError):
            return _reader(kind)(value)
    raise _unexpected(value, " or ".join((get_origin(kind) or kind).__name__ for kind in value_kinds))


def _instance(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and not isinstance(value, kind):
        raise _unexpected(value, kind.__name__)
    return value


def _unexpected(value: Any, expected: str) -> DeclarationError:
    return DeclarationError(f" is {brief(value)}, expected {expected}")


READERS: Mapping[Any, Reader] = {
    Any: check_plain,
    int: _integer,
    float: _float,
    str: partial(_instance, str),
}
