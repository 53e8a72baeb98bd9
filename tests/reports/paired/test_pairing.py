"""Pairing by items: their order, and every reason that two results are no pair."""

from __future__ import annotations

import numpy as np
import pytest

from reports.building.rows import model_names
from reports.paired.pairing import paired_columns
from reports.results.store import read_measurements

RIGHT = np.arange(40) % 4 > 0
OTHER = np.arange(40) % 5 > 0
NAMES = np.array([f"images/{index}.jpg" for index in range(40)])


def paired(store):  # type: ignore[no-untyped-def]
    measurements = read_measurements(store.folder)
    return paired_columns(measurements, model_names(found.model for found in measurements))


def test_items_are_paired_by_name_in_any_order(store, answers) -> None:  # type: ignore[no-untyped-def]
    order = np.random.default_rng(0).permutation(40)
    answers("a", RIGHT)
    answers("b", OTHER[order], names=NAMES[order], labels=(np.arange(40) % 10)[order])
    [column], reasons = paired(store)
    assert reasons == []
    assert column.names == ("a", "b")
    assert np.array_equal(column.scores["b"][0].right, OTHER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"names": np.array([f"images/{index}.jpg" for index in range(1, 41)])}, "b was tested on other items"),
        ({"names": np.array(["images/0.jpg"] * 40)}, "b was tested on other items"),
        ({"protocol_hash": "f00dfeed0000"}, "only b has a result by protocol paper (f00dfeed)"),
        ({"data_fingerprint": "0" * 16}, "on data 00000000"),
        ({"seed": 1}, "no seed in common"),
        ({"value": 12.0}, "its items do not give its accuracy 12"),
    ],
)
def test_what_is_no_pair_is_left_out_with_its_reason(store, answers, change, said) -> None:  # type: ignore[no-untyped-def]
    answers("a", RIGHT)
    answers("b", OTHER, **change)
    columns, reasons = paired(store)
    assert columns == []
    assert any(said in reason for reason in reasons), reasons


def test_a_result_without_values_is_named(store, answers, result, cub) -> None:  # type: ignore[no-untyped-def]
    answers("a", RIGHT)
    store.write(result(cub, 70.0, backbone="b", weights_hash="b" * 64))
    assert "stores no values of single items" in paired(store)[1][0]


def test_seeds_that_all_backbones_have_are_taken_and_equal_ones_count_once(store, answers) -> None:  # type: ignore[no-untyped-def]
    for seed in range(3):
        answers("a", np.roll(RIGHT, seed), seed=seed)
        answers("b", OTHER, seed=seed)
    answers("a", RIGHT, seed=7)
    [column], _ = paired(store)
    assert column.seeds == (0, 1, 2)
    assert [len(column.scores[name]) for name in ("a", "b")] == [3, 1]
    assert column.seeded
    assert column.values.shape == (3, 2)
