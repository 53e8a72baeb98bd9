"""A result store in the forms of other programs, by the tidy table of `load_results`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import yaml
from pandas.api.types import is_string_dtype

from benchmarks.frame import JOB, results_frame
from reports.exchange.every_eval_ever import records
from reports.results.store import read_measurements
from reports.writers.csv import spreadsheet_text
from umt.errors import OptionError, PackageError, ResultError, unknown_name
from umt.files import component

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

RUNS = [name for name in JOB if name != "seed"]


@dataclass(frozen=True)
class ExportOptions:
    """Facts of an export that no result holds."""

    hub_datasets: Mapping[str, str] = field(default_factory=dict)  # our name -> ORG/NAME on the Hugging Face hub
    organization: str = "unknown"  # that publishes the numbers


def exported(folder: Path, form: str, options: ExportOptions) -> dict[str, bytes]:
    """Return the files of a result store in one of FORMS, by name; what cannot be read is named on stderr.

    Raises UMTError if no result is left.
    """
    frame = results_frame((measurement.path, measurement.result) for measurement in read_measurements(folder))
    frame["path"] = [str(Path(path).relative_to(Path(path).parents[1])) for path in frame["path"]]
    return FORMS[form](frame, options)


def _csv(frame: pd.DataFrame, options: ExportOptions) -> dict[str, bytes]:
    texts = {name: frame[name].map(spreadsheet_text) for name in frame.columns if is_string_dtype(frame[name])}
    return {"results.csv": frame.assign(**texts).to_csv(index=False, lineterminator="\n").encode()}


def _parquet(frame: pd.DataFrame, options: ExportOptions) -> dict[str, bytes]:
    buffer = BytesIO()
    try:
        frame.to_parquet(buffer, engine="pyarrow", index=False)
    except ImportError as error:
        raise PackageError(
            "--to parquet needs pyarrow; install it with: pip install -e '.[exchange]', or take csv"
        ) from error
    return {"results.parquet": buffer.getvalue()}


def _hugging_face(frame: pd.DataFrame, options: ExportOptions) -> dict[str, bytes]:
    """Return `.eval_results/*.yaml` for the repository of each backbone: the metric that tables show, over seeds."""
    from huggingface_hub import eval_result_entries_to_yaml

    shown = frame[frame["official"]].drop_duplicates("path")  # the first metric of each result
    if shown.empty:
        raise ResultError("--to hf: no result is of a complete official data set, and other data has no name there")
    names = sorted({name.partition("?")[0] for name in shown["dataset"]})
    for name in options.hub_datasets:
        if name not in names:
            raise unknown_name("data set of these results, in --hub-dataset", name, names)
    if missing := [name for name in names if name not in options.hub_datasets]:
        raise OptionError(
            f"--to hf: the hub's name of {', '.join(missing)} is missing; add --hub-dataset {missing[0]}=ORG/NAME"
        )
    files: dict[str, bytes] = {}
    for _, part in shown.groupby(["backbone", "weights_hash", "dataset"], sort=True):
        first = part.iloc[0]
        entries = [_entry(runs, options) for _, runs in part.groupby(RUNS, sort=True)]
        name = f"{component(f'{first.backbone}-{first.weights_hash[:8]}')}/.eval_results"
        name = f"{name}/{component(f'umt-bench-{first.dataset}')}.yaml"
        files[name] = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False, allow_unicode=True).encode()
    return files


def _entry(runs: pd.DataFrame, options: ExportOptions) -> EvalResultEntry:
    from huggingface_hub import EvalResultEntry

    first = runs.iloc[0]
    seeds = f"{len(runs)} {'seed' if len(runs) == 1 else 'seeds'}"
    return EvalResultEntry(
        dataset_id=options.hub_datasets[first.dataset.partition("?")[0]],
        task_id=f"{first.task}_{first.protocol}",
        value=float(runs["value"].mean()),
        notes=(
            f"{first.metric}{f' ({first.unit})' if first.unit else ''}, mean of {seeds}; UMT-Bench {first.task}, "
            f"protocol {first.protocol} ({first.protocol_hash}), data {first.dataset} ({first.data_fingerprint}), "
            f"weights {first.weights_hash[:12]}"
        ),
    )


FORMS: Mapping[str, Callable[[pd.DataFrame, ExportOptions], dict[str, bytes]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "hf": _hugging_face,
    "eee": lambda frame, options: records(frame, options.organization),
}
