"""Fields of a checkpoint file, checked as they are taken out, because a file may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from umt.backbones.contract import RGB
from umt.declarations import check_plain
from umt.errors import UMTError, WeightsError
from umt.text import brief

MAX_NUMBER = 1 << 63
MAX_COLOUR = 1e6  # limit for a mean or a deviation of colours from 0 to 1, or even to 255


class Fields:
    """A mapping inside a file; every method returns one field, or raises a UMTError that names it."""

    def __init__(self, path: Path, content: Mapping[str, Any], where: str = "") -> None:
        self._path = path
        self._content = content
        self._where = where

    def text(self, name: str) -> str:
        value: str = self._take(name, str, "text")
        return value

    def positive(self, name: str, kind: type = int) -> Any:
        value = self._take(name, kind, f"a positive {kind.__name__}")
        if not 0 < value < MAX_NUMBER:
            raise self.error(name, f"a positive {kind.__name__}")
        return value

    def triple(self, name: str) -> RGB:
        values = self._take(name, (tuple, list), "three numbers")
        if len(values) != 3 or not all(isinstance(value, (int, float)) and abs(value) < MAX_COLOUR for value in values):
            raise self.error(name, "three numbers")
        red, green, blue = values
        return red, green, blue

    def plain(self, name: str) -> Mapping[str, Any]:
        value: Mapping[str, Any] = self._take(name, dict, "a dictionary of plain values")
        try:
            return check_plain(value)
        except UMTError as error:
            raise self.error(name, f"a dictionary of plain values (it{error})") from error

    def tensors(self, name: str) -> Mapping[str, Tensor]:
        value: Mapping[str, Tensor] = self._take(name, dict, "a state dict")
        if not all(isinstance(key, str) and isinstance(tensor, Tensor) for key, tensor in value.items()):
            raise self.error(name, "a state dict of tensors")
        return value

    def record(self, name: str) -> Fields:
        return Fields(self._path, self._take(name, dict, "a dictionary"), f"{self._where}{name}.")

    def records(self, name: str) -> list[Fields]:
        values = self._take(name, list, "a list of dictionaries")
        if not all(isinstance(value, dict) for value in values):
            raise self.error(name, "a list of dictionaries")
        return [Fields(self._path, value, f"{self._where}{name}[{index}].") for index, value in enumerate(values)]

    def error(self, name: str, expected: str) -> UMTError:
        value = f"is {brief(self._content[name])}" if name in self._content else "is missing"
        return WeightsError(
            f"{self._path}: field '{self._where}{name}' {value}, not {expected}; write the file with save_checkpoint"
        )

    def _take(self, name: str, kind: type | tuple[type, ...], expected: str) -> Any:
        value = self._content.get(name)
        if not isinstance(value, kind):
            raise self.error(name, expected)
        return value
