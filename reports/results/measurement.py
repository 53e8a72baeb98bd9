"""A result as tables read it: checked, beside its file, without the details that no table shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.results import INTERVAL, REMEDY, Key, Result
from umt.errors import ResultError
from umt.text import brief

SHOWN_DETAILS = (
    "settings",
    "against",
    "items",
    "panels",
    INTERVAL,
)  # a thousand values of single classes are in no table
MAX_VALUE = 1e30  # largest metric or loss: means and the axes of a drawing overflow long before floats do


@dataclass(frozen=True, slots=True)
class Measurement:
    """A result and its file."""

    path: Path
    result: Result

    @property
    def key(self) -> Key:
        return self.result.key

    @property
    def model(self) -> tuple[str, str]:
        """The label and the weights, which together make a row."""
        return self.key.backbone, self.key.weights_hash

    @property
    def interval(self) -> Mapping[str, float] | None:
        """The 95% interval of the first metric over the test items, if the task gives one."""
        interval: Mapping[str, float] | None = self.result.details.get(INTERVAL)
        return interval


def measured(path: Path, result: Result) -> Measurement:
    """Return the measurement in a file; UMTError if it has no values, or values that cannot be averaged."""
    if not result.metrics or any(abs(value) > MAX_VALUE for value in result.metrics.values()):
        raise ResultError(
            f"{path}: field 'metrics' is {brief(result.metrics)}, expected values up to {MAX_VALUE:g}; {REMEDY}"
        )
    interval = result.details.get(INTERVAL)
    ends = [interval.get(end) for end in ("low", "high")] if isinstance(interval, Mapping) else [None]
    if interval is not None and not all(isinstance(end, int | float) and abs(end) <= MAX_VALUE for end in ends):
        raise ResultError(
            f"{path}: field 'details.{INTERVAL}' is {brief(interval)}, expected numbers 'low' and 'high'; {REMEDY}"
        )
    details = {name: result.details[name] for name in SHOWN_DETAILS if name in result.details}
    return Measurement(path, replace(result, details=details) if len(details) < len(result.details) else result)
