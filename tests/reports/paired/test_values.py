"""Values of items that are read beside a result, and those that are refused."""

from __future__ import annotations

import numpy as np
import pytest

from reports.paired.values import read_scores
from reports.results.store import read_measurements
from umt.errors import ResultError


def test_values_that_do_not_give_the_number_are_refused(store, answers) -> None:  # type: ignore[no-untyped-def]
    answers("a", np.arange(40) < 30, value=76.0)
    [measurement] = read_measurements(store.folder)
    with pytest.raises(ResultError, match="its items do not give its accuracy 76"):
        read_scores(measurement, "accuracy")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"\x93NUMPY"])
def test_a_damaged_file_of_values_is_one_line(store, answers, content: bytes) -> None:  # type: ignore[no-untyped-def]
    answers("a", np.arange(40) < 30)
    [measurement] = read_measurements(store.folder)
    measurement.path.with_suffix(".npz").write_bytes(content)
    with pytest.raises(ResultError, match=r"npz: cannot be read .*; run the job again"):
        read_scores(measurement, "accuracy")
    measurement.path.with_suffix(".npz").unlink()
    with pytest.raises(ResultError, match="cannot be read"):
        read_scores(measurement, "accuracy")


def test_few_shot_hits_are_shares_of_draws(store, result, cub) -> None:  # type: ignore[no-untyped-def]
    hits = np.random.default_rng(4).random((7, 30)) < 0.5
    value = 100 * float(hits.mean())
    store.write(result(cub, value), {"hits": hits, "labels": np.arange(30) % 3})
    scores = read_scores(read_measurements(store.folder)[0], "accuracy").ways["top1"]
    assert scores.effects() * 30 == pytest.approx(100 * hits.mean(axis=0))
    assert scores.right is None


@pytest.mark.parametrize(
    ("metric", "raw"),
    [
        ("accuracy", {"labels": np.array(["a", "b"]), "predictions": np.array([0, 1])}),
        ("accuracy", {"labels": np.array([0, 1]), "predictions": np.array([0, 1]), "image": np.array([["a"], ["b"]])}),
        ("accuracy", {"labels": np.array([0, 1]), "predictions": np.array([0, 1]), "image": np.array(["a"])}),
        ("accuracy", {"labels": np.array([0, -1]), "predictions": np.array([0, 1])}),
        ("accuracy", {"labels": np.array([0, 1 << 40]), "predictions": np.array([0, 1])}),
        ("miou", {"areas": np.zeros((3, 4), dtype=np.int32)}),
        ("miou", {"areas": np.array([[1 << 30, 0, 1, 1, 1]])}),
        ("miou", {"areas": np.array([[0, 0, 1, 1, 1], [5, 0, 1, 1, 1]]), "image": np.array(["a", "b"])}),
        ("miou", {"areas": np.zeros((0, 5), dtype=np.int32)}),
        ("rmse", {"rmse": np.array([0.1, np.nan])}),
        ("rmse", {"rmse": np.array(["0.1"])}),
    ],
)
def test_arrays_of_another_form_are_one_line(store, result, cub, metric: str, raw) -> None:  # type: ignore[no-untyped-def]
    store.write(result(cub, 1.0, metrics={metric: 100.0}), raw)
    [measurement] = read_measurements(store.folder)
    with pytest.raises(ResultError, match="run the job again"):
        read_scores(measurement, metric)
