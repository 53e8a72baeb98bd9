"""CKA of backbones: computed, drawn, written as JSON, and as results in a store."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from rich.table import Table

from benchmarks.environment import describe
from benchmarks.results import Environment, Key, Result, ResultStore
from reports.analysis.named import NamedBackbone, load_named, load_teachers
from reports.analysis.sheet import heat_map
from reports.analysis.sources import ImageSource, find_source
from reports.results.store import ANALYSIS
from reports.tables.table6 import TASK
from reports.writers.files import write_files
from umt.analysis.cka import CkaTable
from umt.analysis.compare import CkaSettings, PairCka, Subject, compare, pairs_of
from umt.console import Console, shown
from umt.errors import OptionError
from umt.files import component
from umt.options import weights_folder
from umt.training.device import pick_device

VERSION = 1  # bumped whenever the numbers change
METRICS = ("global", "global_biased", "patch", "patch_biased")
RESAMPLING = "maps are resampled to the coarser grid of the last maps: bilinear, antialiased where they shrink"


def compare_features(
    specs: Sequence[str],
    *,
    out: Path,
    teachers: bool = False,
    weights: Path | None = None,
    images: Path | None = None,
    dataset: str | None = None,
    data_root: Path | None = None,
    limit: int | None = None,
    every_pair: bool = False,
    resolution: int = 224,
    crop_pct: float = 0.875,
    maps: int = 12,
    batch_size: int = 32,
    device: str = "auto",
    results: Path | None = None,
) -> None:
    """Compare backbones, as `umt analyze cka` does with its options of the same names; print and write the values."""
    started, torch_device = time.perf_counter(), pick_device(device)
    source = find_source(images, dataset, data_root, limit)
    backbones = _load_backbones(specs, teachers, weights)
    settings = CkaSettings(resolution, crop_pct, maps)
    indices = pairs_of(len(backbones), every=every_pair)
    pairs = _compared(backbones, indices, source, settings, torch_device, batch_size)
    if results:
        environment, seconds = describe(torch_device), time.perf_counter() - started
        for pair, (left, right) in zip(pairs, indices, strict=True):
            result = pair_result(pair, backbones[left], backbones[right], source, settings, environment, seconds)
            ResultStore(results).write(result)
    console = Console()
    console.print(_table_of(pairs))
    write_files(_contents(pairs, backbones, source, settings), out, console)


def pair_record(pair: PairCka) -> dict[str, Any]:
    """Return both estimates of every comparison, with the number of samples in each."""
    return {
        "left": _subject(pair.left),
        "right": _subject(pair.right),
        "grid": list(pair.grid),
        "resampling": RESAMPLING,
        "metrics": metrics(pair),
        "pooled": _values(pair.pooled),
        "summary_tokens": _values(pair.summaries),
        "patches": _values(pair.patches),
    }


def metrics(pair: PairCka) -> dict[str, float]:
    """Return the metrics of pooled features and of patches of the last maps; tables show the unbiased values."""
    values = (pair.pooled.unbiased, pair.pooled.biased, pair.patches.unbiased, pair.patches.biased)
    return {name: float(table[-1, -1]) for name, table in zip(METRICS, values, strict=True)}


def pair_result(
    pair: PairCka,
    left: NamedBackbone,
    right: NamedBackbone,
    source: ImageSource,
    settings: CkaSettings,
    environment: Environment,
    seconds: float,
) -> Result:
    """Return the left backbone's result; the right one is part of the key, as a choice that changes the number."""
    details = {"against": {**right.record, "teaches": right.teaches}, **pair_record(pair)}
    return Result(
        key=Key(
            backbone=left.label,
            weights_hash=left.record["weights_hash"],
            task=TASK,
            dataset=source.name,
            protocol=f"against {right.label}",
            protocol_hash=_hash(settings, right.record["weights_hash"]),
            data_fingerprint=source.images.fingerprint,
            seed=0,
        ),
        spec=left.record["spec"],
        architecture=left.record["architecture"],
        suite=ANALYSIS,
        protocol_version=VERSION,
        metrics=metrics(pair),
        units=dict.fromkeys(METRICS, ""),
        lower_is_better=[],
        data=source.data,
        environment=environment,
        wall_seconds=seconds,
        details={**details, "settings": asdict(settings)},
        provenance=left.backbone.provenance,
    )


def _hash(settings: CkaSettings, against: str) -> str:
    content = json.dumps([TASK, VERSION, asdict(settings), against], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _subject(subject: Subject) -> Mapping[str, Any]:
    return {"label": subject.label, "pixels": subject.side, "maps": list(subject.maps)}


def _values(table: CkaTable) -> Mapping[str, Any]:
    return {"samples": table.samples, "unbiased": table.unbiased.tolist(), "biased": table.biased.tolist()}


def _load_backbones(specs: Sequence[str], teachers: bool, weights: Path | None) -> list[NamedBackbone]:
    backbones = load_named(specs, plain=teachers)
    backbones += load_teachers(backbones[0], weights_folder(weights)) if teachers else []
    if len(backbones) < 2:
        raise OptionError(
            f"cka of '{backbones[0].label}' alone: name a second backbone, or --teachers for a student's own"
        )
    return backbones


def _compared(
    backbones: Sequence[NamedBackbone],
    indices: Sequence[tuple[int, int]],
    source: ImageSource,
    settings: CkaSettings,
    device: torch.device,
    batch_size: int,
) -> list[PairCka]:
    subjects = [Subject.of(item.label, item.backbone, settings) for item in backbones]
    with Progress(console=Console(), transient=True) as progress:
        bar = progress.add_task("cka")
        report = lambda done, total, text: progress.update(bar, completed=done, total=total)  # noqa: E731
        return compare(subjects, indices, source.images, settings, device, batch_size, report)


def _contents(
    pairs: Sequence[PairCka], backbones: Sequence[NamedBackbone], source: ImageSource, settings: CkaSettings
) -> dict[str, bytes]:
    """Return the JSON and the heat maps by the names of their files."""
    record = {
        "images": {**asdict(source.data), "fingerprint": source.images.fingerprint},
        "settings": asdict(settings),
        "backbones": [item.record for item in backbones],
        "pairs": [pair_record(pair) for pair in pairs],
    }
    contents = {"cka.json": json.dumps(record, indent=1, allow_nan=False).encode()}
    for pair in pairs:
        stem = component(f"cka-{component(pair.left.label)}-{component(pair.right.label)}")
        contents |= heat_map(pair, stem).files
    return contents


def _table_of(pairs: Sequence[PairCka]) -> Table:
    table = Table("backbones", "pooled", "biased", "patches", "biased", "grid", title="linear CKA, unbiased and biased")
    for pair in pairs:
        values = (f"{value:.4f}" for value in metrics(pair).values())
        table.add_row(shown(f"{pair.left.label}, {pair.right.label}"), *values, "{}x{}".format(*pair.grid))
    return table
