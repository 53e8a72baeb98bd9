"""Differences to the paper: signs, spread, and what is not compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from reports import paper
from reports.paper import paper_table
from reports.tables.compare import comparison, inside_spread

DINO = {"spec": "timm:vit_base_patch16_dinov3.lvd1689m", "backbone": "DINOv3"}  # CUB 90.3, NYUv2 0.293 in the paper


def test_the_spread_is_the_prediction_interval_of_one_more_run() -> None:
    """Against its coverage in simulation: 95% of fifth runs lie inside that of the four before."""
    rng = np.random.default_rng(0)
    runs = rng.normal(size=(4000, 5))
    inside = [inside_spread(last - np.mean(four), list(four))[0] for *four, last in runs.tolist()]  # type: ignore[index]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)
    assert inside_spread(1.0, [0.5]) is None
    half = stats.t.ppf(0.975, 1) * np.std([1.0, 2.0], ddof=1) * np.sqrt(1.5)
    assert inside_spread(0.0, [1.0, 2.0]) == (True, pytest.approx(half))


def test_differences_have_the_sign_of_ours_minus_the_papers(measurement, cub, nyu) -> None:  # type: ignore[no-untyped-def]
    measurements = [measurement(cub, value, seed=seed, **DINO) for seed, value in enumerate((91.0, 91.2, 91.4))]
    measurements += [measurement(nyu, 0.290, **DINO), measurement(cub, 70.0, backbone="mine", weights_hash="b" * 64)]
    table = comparison([cub, nyu], measurements)
    assert table is not None
    (row,) = table.groups[0].rows
    assert row.labels == ("DINOv3", "DINOv3, ViT-B/16")
    assert [cell.text for cell in row.cells] == ["+0.9 (inside ±1.0)", "-0.003"]
    assert row.cells[0].value == pytest.approx(91.2 - 90.3)


def test_a_student_is_found_by_its_recipe_and_its_heads_are_not(measurement, cub, provenance) -> None:  # type: ignore[no-untyped-def]
    student = measurement(cub, 80.0, provenance=provenance(name="resnet50"), backbone="student")
    head = measurement(
        cub, 81.0, provenance=provenance(name="resnet50", space="dino"), weights_hash="b" * 64, backbone="head"
    )
    table = comparison([cub], [student, head])
    assert table is not None
    (row,) = table.groups[0].rows
    assert (row.labels, row.cells[0].text) == (("student", "UMT, ResNet-50"), "+0.3")


def test_other_data_and_other_protocols_are_not_compared(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    assert comparison([cub], [measurement(cub, 91.0, official=False, **DINO)]) is None
    mini = type(cub)(cub.heading, cub.task, cub.dataset, "mini", cub.metric)
    assert comparison([mini], [measurement(mini, 91.0, **DINO)]) is None


def test_every_counterpart_is_a_row_of_the_paper() -> None:
    entries = yaml.safe_load((Path(paper.__file__).parent / "counterparts.yaml").read_text(encoding="utf-8"))
    rows = {(row.model, row.architecture, row.setting) for row in paper_table(1).rows}
    assert {(entry["model"], entry["architecture"], entry["setting"]) for entry in entries} <= rows
