"""The peers of the CKA benchmark compute what ours does, and rows of PCA and of penalty paths can be made."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.perf import cka, l2_path, pca

CPU = torch.device("cpu")


def test_peers_and_ours_agree_with_the_reference() -> None:
    x, y = cka._features(400, CPU, mean=1.0)
    biased, unbiased = cka.reference(x, y)
    assert cka._ours(x, y) == pytest.approx((biased, unbiased), abs=1e-8)
    assert cka._centred_grams(x, y) == pytest.approx(biased, abs=1e-8)
    assert cka._batched(x, y) == pytest.approx(unbiased, abs=1e-8)
    assert cka._traces(x, y) == pytest.approx(unbiased, abs=0.05)  # float32, and means are not taken off first


def test_rows_hold_ratio_limit_and_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cka, "IMAGES", 900)
    monkeypatch.setattr(cka, "FEW_IMAGES", 300)
    monkeypatch.setattr(pca, "TOKENS", 2000)
    monkeypatch.setattr(pca, "WIDTH", 96)
    rows = [*cka.measure(CPU), *pca.measure(CPU)]
    assert [row.limit for row in rows] == [1 / 1.25, 40, 40, 40, 1 / 0.45, 1 / 0.45]
    assert all(row.ratio > 0 and "e-" in row.note for row in rows)


def test_peers_of_the_penalty_path_get_as_far_as_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their times stand for the same answers: L-BFGS goes on until it is within the gap."""
    for name, value in {
        "IMAGES": 200,
        "WIDTH": 16,
        "CLASSES": 5,
        "GRID": [1e2, 1.0, 1e-2],
        "PEER_GRID": slice(3),
    }.items():
        monkeypatch.setattr(l2_path, name, np.array(value) if isinstance(value, list) else value)
    rows = l2_path.measure(CPU)
    assert all(row.note.endswith("peer within 1e-06 in 3 of 3") for row in rows)
    assert all(row.ratio > 0 for row in rows)
