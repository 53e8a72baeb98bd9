"""Tasks by name; a package outside this one adds its own under the entry-point group `umt.tasks`."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from benchmarks.tasks.contract import Task
from umt.errors import PackageError, unknown_name

ENTRY_POINT_GROUP = "umt.tasks"
BUILT_IN = (
    "imagenet_finetune",
    "finegrained_finetune",
    "finegrained_linear",
    "dinov2_linear",
    "fewshot",
    "knn",
    "ade20k_linear",
    "nyuv2_depth",
    "throughput",
)


def task_names() -> list[str]:
    """All tasks that can be named."""
    return [*BUILT_IN, *sorted(point.name for point in entry_points(group=ENTRY_POINT_GROUP))]


def get_task(name: str) -> Task:
    """The task of that name; UMTError where it is unknown or its optional dependency is missing."""
    if name in BUILT_IN:
        return _built_in(name)
    for point in entry_points(group=ENTRY_POINT_GROUP):
        if point.name == name:
            task: Task = point.load()
            return task
    raise unknown_name("task", name, task_names())


def _built_in(name: str) -> Task:
    try:
        task: Task = import_module(f"benchmarks.tasks.{name}").TASK
    except ModuleNotFoundError as error:
        raise PackageError(f"task '{name}' needs {error.name}; install it with: pip install -e '.[mmseg]'") from error
    return task
