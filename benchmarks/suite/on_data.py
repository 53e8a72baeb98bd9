"""The tasks of a suite on other data sets than its own: `umt run --dataset`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.suite.suite import COST_TASKS, Column, Suite, SuiteTable
from benchmarks.tasks.registry import get_task
from umt.data.contract import DatasetInfo
from umt.data.registry import dataset_info
from umt.errors import OptionError
from umt.files import component

OWN_DATA = "Its tasks on data without official splits; the numbers compare backbones with each other."


def suite_on(suite: Suite, names: Sequence[str], tasks: Sequence[str]) -> Suite:
    """Return the suite with one table, its tasks on the named data sets, each by the job of its first column.

    Without `tasks`, take those that leave the backbone as it is; if the kind of data has none of them, take all.
    Raises UMTError if a name is unknown, or if no task takes its kind of data.
    """
    infos = [dataset_info(name) for name in names]
    first = {column.task: column.job for column in reversed(suite.columns) if column.task not in COST_TASKS}
    shown = [column for column in suite.columns if first.get(column.task) == column.job]  # all metrics of the job
    columns = tuple(
        replace(column, heading=info.title, dataset=info.name)
        for info in infos
        for column in _fitting(suite, shown, info, tasks)
    )
    titles = list(dict.fromkeys(info.title for info in infos))
    about = suite.about if any(info.sized for info in infos) else OWN_DATA
    return replace(
        suite,
        embedded_data=suite.embedded_data and not all(Path(info.folder).is_absolute() for info in infos),
        name="-".join([suite.name, *(component(title).lower() for title in titles)]),
        tables={"table1": SuiteTable(title=", ".join(titles), about=about, columns=columns)},
    )


def _fitting(suite: Suite, columns: Sequence[Column], info: DatasetInfo, tasks: Sequence[str]) -> list[Column]:
    """Return the columns whose task is wanted for a data set, and takes its kind of data."""
    takes = [column for column in columns if info.kind in get_task(column.task).kinds]
    frozen = [column for column in takes if not get_task(column.task).spreads]
    fitting = [column for column in takes if column.task in tasks] if tasks else frozen or takes
    if not fitting:
        known = ", ".join(dict.fromkeys(column.task for column in takes)) or "none"
        raise OptionError(
            f"--dataset {info.name}: no task of suite '{suite.name}' for {info.kind} is chosen; it has {known}"
        )
    return fitting
