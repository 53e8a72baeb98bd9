"""CKA of a pair of backbones as JSON, and as a result in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from benchmarks.results import Environment, Key, Result
from reports.analysis.named import Named
from reports.analysis.sources import Source
from reports.results.store import ANALYSIS
from reports.tables.table6 import TASK
from umt.analysis.cka import CkaTable
from umt.analysis.compare import CkaSettings, PairCka, Subject

VERSION = 1  # bumped whenever the numbers change
METRICS = ("global", "global_biased", "patch", "patch_biased")
RESAMPLING = "maps are resampled to the coarser grid of the last maps: bilinear, antialiased where they shrink"


def pair_record(pair: PairCka) -> dict[str, Any]:
    """Return both estimates of every comparison, with the number of samples in each."""
    return {
        "left": _subject(pair.left),
        "right": _subject(pair.right),
        "grid": list(pair.grid),
        "resampling": RESAMPLING,
        "metrics": metrics(pair),
        "pooled": _table(pair.pooled),
        "summary_tokens": _table(pair.summaries),
        "patches": _table(pair.patches),
    }


def metrics(pair: PairCka) -> dict[str, float]:
    """Return the metrics of pooled features and of patches of the last maps; tables show the unbiased values."""
    values = (pair.pooled.unbiased, pair.pooled.biased, pair.patches.unbiased, pair.patches.biased)
    return {name: float(table[-1, -1]) for name, table in zip(METRICS, values, strict=True)}


def pair_result(
    pair: PairCka,
    left: Named,
    right: Named,
    source: Source,
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


def _table(table: CkaTable) -> Mapping[str, Any]:
    return {"samples": table.samples, "unbiased": table.unbiased.tolist(), "biased": table.biased.tolist()}
