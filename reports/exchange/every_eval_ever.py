"""Results as records of Every Eval Ever: one JSON file for each backbone, by version 0.3.0 of its schema.

The schema: https://github.com/evaleval/every_eval_ever
"""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import Any
from uuid import UUID

import pandas as pd

import umt
from benchmarks.frame import JOB
from umt.files import component

SCHEMA_VERSION = "0.3.0"
MODEL = ["backbone", "weights_hash"]
RUNS = [name for name in JOB if name not in (*MODEL, "seed")]
OPEN = {"timm": "timm", "hf": "", "torchvision": "pytorch"}  # schemes of public weights -> organisation on the hub
UPPER = {"%": 100.0}  # by unit


def records(frame: pd.DataFrame, organization: str) -> dict[str, bytes]:
    """Return a record for each backbone of the tidy table, by the path that the project's data repository has."""
    now = str(int(time.time()))
    files = {}
    for (backbone, weights), rows in frame.groupby(MODEL, sort=True):
        record = _record(rows, str(backbone), str(weights), organization, now)
        text = json.dumps(record, indent=1, allow_nan=False, ensure_ascii=False).encode()
        developer, _, name = record["model_info"]["id"].partition("/")
        stable = UUID(bytes=sha256(f"{backbone} {weights}".encode()).digest()[:16], version=4)
        files[f"data/umt-bench/{component(developer)}/{component(name)}/{stable}.json"] = text
    return files


def _record(rows: pd.DataFrame, backbone: str, weights: str, organization: str, now: str) -> dict[str, Any]:
    first = rows.iloc[0]
    scheme, _, name = first.spec.partition(":")
    public = scheme in OPEN and "?" not in name
    model = "/".join(filter(None, (OPEN[scheme], name))) if public else f"unknown/{backbone}"
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": f"umt-bench/{model}/{now}",
        "retrieved_timestamp": now,
        "source_metadata": {
            "source_name": "UMT-Bench",
            "source_type": "evaluation_run",
            "source_organization_name": organization,
            "evaluator_relationship": "other",
        },
        "eval_library": {"name": "umt-bench", "version": umt.__version__},
        "model_info": {
            "name": backbone,
            "id": model,
            "additional_details": {
                "deployment_type": "self_deployed",
                "model_availability": "open_weights" if public else "unknown",
                "architecture": first.architecture,
                "weights_sha256": weights,
            },
        },
        "evaluation_results": [_result(runs) for _, runs in rows.groupby(RUNS, sort=True)],
    }


def _result(runs: pd.DataFrame) -> dict[str, Any]:
    first = runs.iloc[0]
    title = f"{first.task}/{first.protocol}/{first.dataset}"
    return {
        "evaluation_result_id": f"{title}/{first.metric}/{first.protocol_hash}/{first.data_fingerprint}",
        "evaluation_name": title,
        "source_data": {
            "dataset_name": first.dataset if first.official else f"{first.dataset} layout, other data",
            "source_type": "other",
            "additional_details": {
                "fingerprint": first.data_fingerprint,
                "official": str(bool(first.official)).lower(),
            },
        },
        "metric_config": {
            "metric_id": first.metric,
            "metric_name": first.metric,
            "metric_unit": {"%": "percent"}.get(first.unit, first.unit),
            "lower_is_better": bool(first.lower_is_better),
            "score_type": "continuous",
            "min_score": 0.0,
            "max_score": UPPER.get(first.unit, "Infinity"),
            "metric_parameters": {"protocol": first.protocol, "protocol_hash": first.protocol_hash},
        },
        "score_details": _score(runs),
    }


def _score(runs: pd.DataFrame) -> dict[str, Any]:
    """Return the mean over seeds; the interval over test items is that of a run, and given for a single one."""
    first = runs.iloc[0]
    score: dict[str, Any] = {
        "score": float(runs["value"].mean()),
        "details": {f"seed_{run.seed}": repr(run.value) for run in runs.itertuples()},
    }
    uncertainty: dict[str, Any] = {} if pd.isna(first.n) else {"num_samples": int(first.n)}
    if len(runs) == 1 and not pd.isna(first.interval_low):
        bounds = {"lower": float(first.interval_low), "upper": float(first.interval_high)}
        uncertainty["confidence_interval"] = {**bounds, "confidence_level": 0.95, "method": "over test items"}
    return {**score, "uncertainty": uncertainty} if uncertainty else score
