"""A hub with a result that has no fault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.results import Result, ResultStore
from benchmarks.suite.protocols import load_protocol
from benchmarks.suite.suite import Column
from benchmarks.tasks.registry import get_task

SIZES = {"train": 5994, "test": 5794}


@pytest.fixture
def plausible(result: Callable[..., Result], cub: Column) -> Callable[..., Result]:
    """A result on the official CUB by the shipped protocol; changes as of `result`."""
    task = get_task(cub.task)
    protocol = load_protocol(cub.task, cub.protocol, task.settings)

    def make(**changes: Any) -> Result:
        sound: dict[str, Any] = {
            "metrics": {"accuracy": 80.0, "top1": 100 * 4635 / 5794, "mean_per_class": 79.5},
            "units": {metric.name: metric.unit for metric in task.metrics},
            "details": {"items": dict.fromkeys(("accuracy", "top1", "mean_per_class"), 5794)},
            "sizes": SIZES,
            "protocol_hash": protocol.hash,
            "protocol_version": protocol.version,
        }
        return result(cub, 80.0, **{**sound, **changes})

    return make


@pytest.fixture
def hub(tmp_path: Path, plausible: Callable[..., Result]) -> Path:
    folder = tmp_path / "hub"
    ResultStore(folder / "results").write(plausible())
    (folder / "hub.yaml").write_text(yaml.safe_dump({"title": "Zoo", "suite": "paper", "licences": ["CC-BY-4.0"]}))
    origin = {"by": "A", "licence": "CC-BY-4.0", "weights": "https://example.com", "weights_licence": "MIT"}
    (folder / "results" / "mine" / "submission.yaml").write_text(yaml.safe_dump(origin))
    return folder
