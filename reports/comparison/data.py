"""The data set of a compared column below a data root, which its result file alone names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.results import Result
from umt.data.contract import Dataset
from umt.data.registry import find_dataset
from umt.errors import UMTError


def dataset_of(result: Result, data_root: Path) -> Dataset | None:
    """Return the data set of a result below the data root, and nowhere else; None if it is not there."""
    try:
        return find_dataset(result.key.dataset.partition(":")[0], data_root)
    except UMTError:
        return None


def class_names(result: Result, data_root: Path) -> Sequence[str]:
    """Return the names of a result's classes in order of index; none if other data of that name lie there."""
    dataset = dataset_of(result, data_root)
    try:
        if dataset and (dataset.title, dataset.sizes) == (result.data.title, result.data.sizes):
            return dataset.class_names
    except UMTError:
        pass
    return ()
