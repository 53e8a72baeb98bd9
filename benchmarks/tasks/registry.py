"""Tasks by name; a package outside this one adds its own under the entry-point group `umt.tasks`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.tasks.contract import Task
from umt import plugins
from umt.errors import PackageError, unknown_name

ENTRY_POINT_GROUP = "umt.tasks"
BUILT_IN = (
    "imagenet_finetune",
    "finegrained_finetune",
    "finegrained_linear",
    "multilabel_linear",
    "dinov2_linear",
    "attentive",
    "fewshot",
    "knn",
    "diagnostics",
    "retrieval",
    "landmarks",
    "captions",
    "robustness",
    "robustness_finetuned",
    "corruption",
    "corruption_finetuned",
    "zeroshot",
    "ade20k_linear",
    "segmentation_linear",
    "knn_segmentation",
    "correspondence",
    "view_correspondence",
    "nyuv2_depth",
    "nyuv2_normals",
    "video_propagation",
    "throughput",
)


def task_names() -> list[str]:
    """List all tasks that can be named."""
    return [*BUILT_IN, *plugins.installed(ENTRY_POINT_GROUP, BUILT_IN)]


def get_task(name: str) -> Task:
    """Return the task of that name; UMTError if it is unknown, claimed twice, or lacks its dependency."""
    if name in BUILT_IN:
        plugins.refuse_claims(ENTRY_POINT_GROUP, BUILT_IN)
        return _built_in(name)
    offered = plugins.installed(ENTRY_POINT_GROUP, BUILT_IN)
    if name not in offered:
        raise unknown_name("task", name, task_names())
    task: Task = plugins.load(offered[name], Task)
    return task


def _built_in(name: str) -> Task:
    try:
        task: Task = import_module(f"benchmarks.tasks.{name}").TASK
    except ModuleNotFoundError as error:
        raise PackageError(f"task '{name}' needs {error.name}; install it with: pip install -e '.[mmseg]'") from error
    return task
