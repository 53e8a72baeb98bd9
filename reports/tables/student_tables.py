"""Tables 2 to 5 and 7 of the paper: teacher combinations, ablations, heads, the DINO objective."""

from __future__ import annotations

from collections.abc import Callable

from reports.building.table import DASH
from reports.paper import paper_table
from reports.results.students import StudentMeasurement, StudentRecord
from reports.tables.student_table import Label, LossColumn, StudentTable, TaskColumn

MEAN = "mean"  # in place of a task
GLOBAL_KINDS = ("classification", "clip")
SWITCHES = {
    "model_token": "w/o model token",
    "cross_space": "w/o cross-space module",
    "intra_space": "w/o intra-space module",
}
OBJECTIVES = {"patch_mse": "MSE", "patch_cosine": "Cosine", "pooled_cosine": "Cosine, pooled"}


def _loss_sum(part: str) -> Callable[[StudentRecord], float | None]:
    """Return the function that sums `part` over all teachers; None if one of them has no such loss."""

    def value(student: StudentRecord) -> float | None:
        losses = [teacher.losses.get(part) for teacher in student.teachers]
        known = [loss for loss in losses if loss is not None]
        return sum(known) if known and len(known) == len(losses) else None

    return value


def _dino_loss(student: StudentRecord) -> float | None:
    """Sum the losses to the DINO teachers, model token and features together; None if there are none."""
    losses = [loss for teacher in student.teachers if teacher.kind == "dino" for loss in teacher.losses.values()]
    return sum(losses) if losses else None


def _models(*kinds: str) -> Callable[[StudentMeasurement], str]:
    return lambda measured: (
        ", ".join(teacher.model for teacher in measured.student.teachers if teacher.kind in kinds) or DASH
    )


def _configuration(measured: StudentMeasurement) -> str:
    """Name the modules that the student was distilled without."""
    interaction = measured.student.interaction
    if interaction.get("method") != "umt":
        return f"plain {interaction.get('method')}"
    missing = [text for switch, text in SWITCHES.items() if not interaction.get(switch)]
    return ", ".join(missing) or "UMT"


def _feature(measured: StudentMeasurement) -> str:
    """Name the backbone or the head of the student."""
    return f"{measured.space} head" if measured.space else "Backbone"


def _objective(measured: StudentMeasurement) -> str:
    used = [teacher.objective for teacher in measured.student.teachers if teacher.kind == "dino"]
    return ", ".join(OBJECTIVES.get(name, name) for name in used)


def _position(number: int) -> Callable[[StudentMeasurement], str]:
    """Return the function that names the teacher at a position in the order of the recipe."""

    def text(measured: StudentMeasurement) -> str:
        teachers = measured.student.teachers
        return teachers[number].model if number < len(teachers) else DASH

    return text


def _complete(student: StudentRecord) -> bool:
    """Return True if no module was left out."""
    return student.interaction.get("method") == "umt" and all(map(student.interaction.get, SWITCHES))


def _published_tasks(number: int) -> tuple[TaskColumn, ...]:
    """Return the columns of the paper's table, but a mean over them."""
    columns = paper_table(number).columns.items()
    return tuple(TaskColumn(column.task, column.dataset, name) for name, column in columns if column.task != MEAN)


FEATURE_LOSS = LossColumn("Feature loss", "feature_loss_sum", _loss_sum("feature"))
TOKEN_LOSS = LossColumn("Model token loss", "model_token_loss_sum", _loss_sum("token"))

STUDENT_TABLES = (
    StudentTable(
        number=2,
        title="Combinations of teachers",
        labels={
            "Recipe": Label("setting", lambda measured: measured.student.recipe),
            "CLS or CLIP": Label("teacher_cls", _models(*GLOBAL_KINDS)),
            "MAE": Label("teacher_mae", _models("mae")),
            "DINO": Label("teacher_dino", _models("dino")),
        },
        losses=(TOKEN_LOSS, FEATURE_LOSS, LossColumn("DINO loss", "dino_loss_sum", _dino_loss)),
        one_group=True,
        holds=_complete,
    ),
    StudentTable(
        number=3,
        title="Without single modules",
        labels={"Configuration": Label("setting", _configuration)},
        losses=(
            LossColumn("Model token loss", "model_token_loss", TOKEN_LOSS.value),
            LossColumn("Feature loss", "feature_loss", FEATURE_LOSS.value),
        ),
    ),
    StudentTable(
        number=4,
        title="Features of the backbone and of each head",
        labels={"Feature": Label("setting", _feature)},
        tasks=_published_tasks(4),
        heads=True,
    ),
    StudentTable(
        number=5,
        title="The objective of the DINO teacher",
        labels={"DINO objective": Label("setting", _objective)},
        tasks=_published_tasks(5),
        average="average",
        holds=lambda student: any(teacher.kind == "dino" for teacher in student.teachers),
    ),
    StudentTable(
        number=7,
        title="Teachers trained on different and on equal data",
        labels={f"Teacher {number}": Label(f"teacher_{number}", _position(number - 1)) for number in (1, 2, 3)},
        tasks=_published_tasks(7),
        one_group=True,
        holds=_complete,
    ),
)
