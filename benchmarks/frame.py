"""Results as one tidy pandas table: a row for each metric of each result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.results import INTERVAL, Result
from benchmarks.suite.suite import COST_TASKS

if TYPE_CHECKING:
    import pandas as pd

JOB = ("backbone", "weights_hash", "task", "dataset", "protocol", "protocol_hash", "data_fingerprint", "seed", "metric")
COLUMNS = (
    "backbone", "task", "dataset", "protocol", "metric", "value", "unit", "lower_is_better", "seed",
    "n",  # items that the number was measured on, NA for what a backbone costs
    "interval_low", "interval_high",  # of the first metric, NaN where the task gives none
    "weights_hash", "protocol_hash", "data_fingerprint",
    "official",  # true on the complete official data set
    "suite", "spec", "architecture", "path",
)  # fmt: skip
TYPES = {"value": "float64", "lower_is_better": "bool", "official": "bool", "seed": "int64", "n": "Int64",
         "interval_low": "float64", "interval_high": "float64"}  # fmt: skip


def results_frame(results: Iterable[tuple[Path, Result]]) -> pd.DataFrame:
    """Return the table of results that were read from files, in their order."""
    import pandas as pd  # a report writes the rows without it

    rows = [row for path, result in results for row in result_rows(path, result)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(TYPES)


def result_rows(path: Path, result: Result) -> Iterator[dict[str, Any]]:
    """Yield a row for each metric of a result."""
    key = result.key
    columns = {
        "backbone": key.backbone,
        "task": key.task,
        "dataset": key.dataset,
        "protocol": key.protocol,
        "seed": key.seed,
        "weights_hash": key.weights_hash,
        "protocol_hash": key.protocol_hash,
        "data_fingerprint": key.data_fingerprint,
        "official": result.data.official,
        "suite": result.suite,
        "spec": result.spec,
        "architecture": result.architecture,
        "path": str(path),
    }
    for index, (metric, value) in enumerate(result.metrics.items()):
        low, high = _interval(result) if index == 0 else (math.nan, math.nan)
        yield {
            **columns,
            "metric": metric,
            "value": value,
            "n": _items(result, metric),
            "unit": result.units.get(metric, ""),
            "lower_is_better": metric in result.lower_is_better,
            "interval_low": low,
            "interval_high": high,
        }


def _items(result: Result, metric: str) -> int | None:
    """Return the items behind a metric, in a result that does not count them those of the last split."""
    counts = result.details.get("items")
    count = counts.get(metric) if isinstance(counts, Mapping) else None
    if count is None and result.key.task not in COST_TASKS:
        count = [None, *result.data.sizes.values()][-1]
    return count if isinstance(count, int) and 0 <= count < 1 << 63 else None


def _interval(result: Result) -> tuple[float, float]:
    interval = result.details.get(INTERVAL)
    if not isinstance(interval, Mapping):
        return math.nan, math.nan
    return interval.get("low", math.nan), interval.get("high", math.nan)
