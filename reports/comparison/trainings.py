"""Several trainings of one recipe as one backbone: `NAME seed N` is the training of NAME with seed N."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from benchmarks.results import Key, split_training
from reports.results.measurement import Measurement
from umt.errors import OptionError
from umt.text import brief


def results_by_recipe(measurements: Iterable[Measurement]) -> list[Measurement]:
    """Return the measurements by recipe: the label before "seed N" is the backbone, N is the seed.

    Labels of another form stay as they are. Raises OptionError if one training has two results in a column: their
    difference is noise within a training, and would count as that of another training.
    """
    joined: dict[Key, Measurement] = {}
    for measurement in measurements:
        key = _recipe_key(measurement.key)
        if key in joined:
            raise OptionError(
                f"{measurement.path}: a second result of {brief(measurement.key.backbone)} in a column; "
                "--trainings takes one result a training and column: run with --seeds 1, into an empty folder"
            )
        joined[key] = replace(measurement, result=replace(measurement.result, key=key))
    return list(joined.values())


def _recipe_key(key: Key) -> Key:
    name, seed = split_training(key.backbone)
    return key if seed is None else replace(key, backbone=name, weights_hash="", seed=seed)
