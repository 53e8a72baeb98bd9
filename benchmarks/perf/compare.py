"""`umt compare` of many backbones: seconds of the whole command."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from benchmarks.perf.row import PerfRow
from benchmarks.perf.store import ENVIRONMENT, cost_of
from benchmarks.results import Data, Key, Result, ResultStore

BACKBONES, ITEMS, DRAWS = 20, 10_000, 2_000
CLASSES, SEGMENTED, OCCURRING = 100, 150, 10  # of classification, of segmentation, and of an image
COLUMNS = {  # task and data set -> metric: ten columns
    ("knn", "imagenet"): "top1",
    ("imagenet_finetune", "imagenet"): "top1",
    ("zeroshot", "imagenet"): "top1",
    ("finegrained_linear", "cub"): "accuracy",
    ("finegrained_finetune", "cub"): "accuracy",
    ("fewshot", "cub"): "accuracy",
    ("finegrained_linear", "aircraft"): "mean_per_class",
    ("finegrained_linear", "caltech101"): "mean_per_class",
    ("ade20k_linear", "ade20k"): "miou",
    ("nyuv2_depth", "nyuv2"): "rmse",
}
LIMIT_S = 20.0  # on one core


def measure(_: torch.device) -> list[PerfRow]:
    """Measure one comparison of all columns, at most 20 s of the CPU, imports and tables included."""
    with tempfile.TemporaryDirectory() as folder:
        write_store(Path(folder) / "results")
        arguments = ["compare", "--results", str(Path(folder) / "results"), "--resamples", str(DRAWS)]
        seconds, megabytes = cost_of(arguments, Path(folder) / "status")
    job = f"umt compare of {BACKBONES} backbones, {len(COLUMNS)} columns of {ITEMS} items, {DRAWS} draws"
    return [PerfRow(job, "at most", LIMIT_S, seconds, limit=1, note=f"{megabytes:.0f} MB")]


def write_store(folder: Path) -> None:
    """Write a result of each backbone in each column."""
    rng, store = np.random.default_rng(0), ResultStore(folder)
    labels, occurring = rng.integers(0, CLASSES, ITEMS), rng.integers(0, SEGMENTED, (ITEMS, OCCURRING))
    for number in range(BACKBONES):
        for (task, dataset), metric in COLUMNS.items():
            raw, value = _values(metric, 0.7 + 0.01 * number, labels, occurring, rng)
            key = Key(f"backbone {number}", f"{number:064x}", task, dataset, "paper", "0123456789ab", "f" * 16, 0)
            data = Data(dataset, "", True, {"test": ITEMS}, f"data/{dataset}")
            lower = [metric] if metric == "rmse" else []
            result = Result(
                key, "timm:resnet50", "resnet50", "paper", 1, {metric: value}, {}, lower, data, ENVIRONMENT, 1.0
            )
            store.write(result, {"image": np.arange(ITEMS).astype(str), **raw})


def _values(
    metric: str, skill: float, labels: np.ndarray, occurring: np.ndarray, rng: np.random.Generator
) -> tuple[Mapping[str, np.ndarray], float]:
    """Return random values of items, and the metric that they give."""
    if metric == "rmse":
        errors = rng.gamma(5, 0.1 / skill, ITEMS)
        return {"rmse": errors}, float(errors.mean())
    if metric == "miou":
        return _areas(skill, occurring, rng)
    right = rng.random(ITEMS) < skill
    by_class = np.bincount(labels, weights=right) / np.bincount(labels)
    value = by_class.mean() if metric == "mean_per_class" else right.mean()
    return {"labels": labels, "predictions": np.where(right, labels, (labels + 1) % CLASSES)}, 100 * float(value)


def _areas(skill: float, occurring: np.ndarray, rng: np.random.Generator) -> tuple[Mapping[str, np.ndarray], float]:
    intersection = rng.integers(1, 1000, occurring.size)
    predicted, true = (intersection + rng.integers(0, int(1000 / skill), occurring.size) for _ in range(2))
    images = np.repeat(np.arange(ITEMS), OCCURRING)
    unions = np.bincount(occurring.ravel(), weights=predicted + true - intersection, minlength=SEGMENTED)
    intersections = np.bincount(occurring.ravel(), weights=intersection, minlength=SEGMENTED)
    areas = np.column_stack([images, occurring.ravel(), intersection, predicted, true])
    return {"areas": areas.astype(np.int32)}, 100 * float((intersections / unions).mean())
