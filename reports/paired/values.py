"""The values of single test items beside a result.

The arrays are those of `benchmarks/scores.py`. An array of values is refused if it does not give the result's own
number: so it is known that the metric is resampled as it is defined.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.scores import ARRAYS, IMAGE, Scores, scores_of
from reports.results.measurement import Measurement
from umt.errors import ResultError
from umt.files import component, open_plain

MAX_BYTES = 4 << 30  # of a file, and of the arrays in it
AGREEMENT = 1e-6  # relative, of the values' metric and the result's: sums of another order, and single precision


@dataclass(frozen=True)
class ItemScores:
    """The values of a result in every way that gives its number, by the name of the way, and the items' names."""

    names: np.ndarray  # [N]
    ways: Mapping[str, Scores]


def read_scores(measurement: Measurement, metric: str) -> ItemScores:
    """Read the values of a result's items. Raises ResultError if there are none, or if they do not give the metric."""
    raw = _read_raw(measurement, metric)
    try:
        ways = scores_of(metric, raw)
    except ResultError as error:
        raise ResultError(f"{measurement.path}: {error}") from error
    if not ways:
        raise ResultError(f"{measurement.path}: stores no values of single items for '{metric}'; run the job again")
    value = measurement.result.metrics[metric]
    matching = {name: scores for name, scores in ways.items() if _gives(scores, value)}
    if not matching:
        raise ResultError(f"{measurement.path}: its items do not give its {metric} {value:.6g}; run the job again")
    count = len(next(iter(matching.values())).effects())
    names = raw.get(IMAGE, np.arange(count).astype(str))
    if len(names) != count:
        raise ResultError(f"{measurement.path}: {len(names)} names for {count} items; run the job again")
    return ItemScores(names, matching)


def _gives(scores: Scores, value: float) -> bool:
    [metric] = scores.over(np.ones((len(scores.effects()), 1)))
    return math.isclose(metric, value, rel_tol=AGREEMENT, abs_tol=AGREEMENT)


def _read_raw(measurement: Measurement, metric: str) -> dict[str, np.ndarray]:
    """Read the arrays that are needed, none of them pickled."""
    path, name = measurement.path, measurement.result.raw
    if name is None:
        raise ResultError(f"{path}: stores no values of single items; run the job again")
    file = path.parent / component(name)
    try:
        with open_plain(file) as handle:
            if os.fstat(handle.fileno()).st_size > MAX_BYTES:
                raise ResultError(f"{file}: more than {MAX_BYTES >> 30} GiB; run the job again")
            with np.load(handle, allow_pickle=False) as archive:
                if sum(entry.file_size for entry in archive.zip.infolist()) > MAX_BYTES:
                    raise ResultError(f"{file}: more than {MAX_BYTES >> 30} GiB of values; run the job again")
                raw = {key: archive[key] for key in {*ARRAYS, metric} & set(archive.files)}
                return _checked(raw, file)
    except ResultError:
        raise
    except Exception as error:  # of zipfile, zlib and numpy, as many as there are ways to damage a file
        raise ResultError(f"{file}: cannot be read ({type(error).__name__}); run the job again") from error


def _checked(raw: dict[str, np.ndarray], file: Path) -> dict[str, np.ndarray]:
    """Return the arrays; ResultError if names are no list of texts, or values no numbers."""
    for key, values in raw.items():
        if values.ndim == 0 or not len(values) or (key == IMAGE) != (values.dtype.kind == "U"):
            raise ResultError(f"{file}: '{key}' is {values.dtype} {list(values.shape)}; run the job again")
    if IMAGE in raw and raw[IMAGE].ndim != 1:
        raise ResultError(f"{file}: '{IMAGE}' has {raw[IMAGE].ndim} dimensions, expected 1; run the job again")
    return raw
