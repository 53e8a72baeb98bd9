"""Results and suites to report on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.results import Data, Environment, Key, Result, ResultStore
from benchmarks.scores import Scores
from benchmarks.suite.suite import Column, Suite, SuiteTable
from reports.building.metrics import ShownMetric, get_metric
from reports.building.table import Cell, Group, Row, Table, TableColumn
from reports.paired.pairing import PairedColumn
from reports.results.measurement import Measurement, measured

ENVIRONMENT = Environment(
    commit="c0ffee" * 6, dirty=False, packages={}, device="cpu", python="3.11.0", started="2026-01-01T00:00:00+00:00"
)
CUB = Column("CUB", "finegrained_finetune", "cub", "paper", "accuracy")
NYU = Column("NYUv2", "nyuv2_depth", "nyuv2", "paper", "rmse")
HOSTILE = r'<script>alert(1)</script> \input{/etc/passwd} | a, "b" $x_1$ **c** [d](e) & # % ~ ^ {'


def make_result(column: Column, value: float, **changes: Any) -> Result:
    """A result for a column; `changes` are fields of Result, Key or Data."""
    key: dict[str, Any] = {
        "backbone": "mine",
        "weights_hash": "a" * 64,
        "task": column.task,
        "dataset": column.dataset,
        "protocol": column.protocol,
        "protocol_hash": "0123456789ab",
        "data_fingerprint": "f" * 16,
        "seed": 0,
    }
    data: dict[str, Any] = {
        "title": "CUB-200-2011",
        "origin": "",
        "official": True,
        "sizes": {"train": 20, "test": 10},
        "root": "d",
    }
    rest: dict[str, Any] = {"spec": "timm:vit_base_patch16_224", "suite": "paper", "protocol_version": 1}
    rest |= {
        "architecture": "vit_base_patch16_224",
        "units": {},
        "lower_is_better": [],
        "footnote": None,
        "provenance": {},
        "details": {},
    }
    for part in (key, data, rest):
        part.update({name: changes.pop(name) for name in list(changes) if name in part})
    metrics = changes.pop("metrics", {column.metric: value})
    return Result(Key(**key), metrics=metrics, data=Data(**data), environment=ENVIRONMENT, wall_seconds=1.0, **rest)


@pytest.fixture
def result() -> Callable[..., Result]:
    return make_result


@pytest.fixture
def measurement() -> Callable[..., Measurement]:
    def make(column: Column, value: float, **changes: Any) -> Measurement:
        found = make_result(column, value, **changes)
        return measured(Path(f"{found.key.stem}.json"), found)

    return make


@pytest.fixture
def cub() -> Column:
    return CUB


@pytest.fixture
def nyu() -> Column:
    return NYU


@pytest.fixture
def suite() -> Callable[..., Suite]:
    def make(name: str = "paper", **tables: tuple[Column, ...]) -> Suite:
        declared = {key: SuiteTable(f"The {key}", columns=columns) for key, columns in tables.items()}
        main = {"table1": SuiteTable("All tasks", columns=(CUB, NYU))}
        return Suite(name, name, f"{name} suite", f"About {name}.", 1, False, {**main, **declared})

    return make


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "results")


@pytest.fixture
def hostile() -> str:
    return HOSTILE


@pytest.fixture
def table() -> Table:
    """Two groups, a hostile label, a dash, a best cell, a paper row with a dagger."""
    columns = (
        TableColumn("CUB", ShownMetric("accuracy")),
        TableColumn("rooms (NYU layout)", ShownMetric("RMSE", "m", False, 3)),
    )
    best = Cell("83.3 ± 0.1", 83.3333333333333, 0.1, 3, True, lambda: ("task t", 'title "><script>x</script>'))
    ours = Row((HOSTILE, "vit, base"), (best, Cell()))
    paper = Row(("Proteus", "–"), (Cell("81.20", 81.2, runs=1), Cell("0.300", 0.3, runs=1)), source="paper", mark="†")
    groups = (Group("ViT-B", (paper, ours)), Group("Other architectures", (Row(("=1+1", "–"), (Cell(), Cell())),)))
    notes = ("–: no value.", "†: official & 100% <b>quoted</b>.")
    return Table("t", "All tasks", "About A&B.", "Table 1", ("Method", "Architecture"), columns, groups, notes)


@pytest.fixture
def provenance() -> Callable[..., dict[str, Any]]:
    """Return the record of a distillation; changes are fields of the recipe, `losses`, or those of a head."""

    def make(losses: dict[str, dict[str, float]] | None = None, **changes: Any) -> dict[str, Any]:
        head = {name: changes.pop(name) for name in ("space", "space_kind") if name in changes}
        recipe: dict[str, Any] = {
            "name": "mine",
            "about": "",
            "seed": 0,
            "interaction": {"method": "umt", "model_token": True, "cross_space": True, "intra_space": True},
            "teachers": [
                {"name": "cls", "kind": "classification", "backbone": "timm:resnet50.tv2_in1k"},
                {"name": "dino", "kind": "dino", "backbone": "timm:vit_base_patch16_dinov3"},
            ],
            **changes,
        }
        lost = losses or {"cls": {"feature": 0.1, "token": 0.3}, "dino": {"feature": 0.2, "token": 0.4}}
        objectives = {"cls": "pooled_cosine", "dino": "patch_cosine"}
        return {"recipe": recipe, "objectives": objectives, "losses": lost, **head}

    return make


MakeColumn = Callable[..., PairedColumn]
Answers = Callable[..., None]


@pytest.fixture
def column(result: Callable[..., Any], cub: Any) -> MakeColumn:
    """A column of values by backbone and seed."""

    def make(scores: Mapping[str, Sequence[Scores]], metric: str = "top1", heading: str = "CUB") -> PairedColumn:
        values = np.array([[one.effects().sum() for one in seeds] for seeds in scores.values()]).T
        if metric == "miou":
            ones = np.ones((len(next(iter(scores.values()))[0].effects()), 1))
            values = np.array([[one.over(ones)[0] for one in seeds] for seeds in scores.values()]).T
        items = len(next(iter(scores.values()))[0].effects())
        seeds = tuple(range(len(values)))
        different = {name: tuple(of_seeds) for name, of_seeds in scores.items()}
        example = result(cub, 1.0)
        return PairedColumn(
            heading, get_metric(metric), example, Path("x.json"), np.arange(items).astype(str), seeds, different, values
        )

    return make


@pytest.fixture
def answers(store: ResultStore, result: Callable[..., Any], cub: Any) -> Answers:
    """Write the result of right and wrong answers about ten classes."""

    def write(backbone: str, right: np.ndarray, column: Any = cub, **changes: Any) -> None:
        labels = changes.pop("labels", np.arange(len(right)) % 10)
        names = changes.pop("names", np.array([f"images/{index}.jpg" for index in range(len(right))]))
        raw = {"image": names, "labels": labels, "predictions": np.where(right, labels, (labels + 1) % 10)}
        value = changes.pop("value", 100 * float(np.mean(right)))
        found = result(column, value, backbone=backbone, weights_hash=f"{ord(backbone[0]):064x}", **changes)
        store.write(found, raw)

    return write
