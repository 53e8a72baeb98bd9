"""Recipes: everything that decides the result of a distillation, as data."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from umt.backbones.checkpoint import Readout
from umt.backbones.trust import name_from_file
from umt.declarations import build, read_mapping, refuse_fields, scalar
from umt.errors import DeclarationError, OptionError, unknown_name
from umt.files import below, missing
from umt.training.engine import Recipe as Training

Schedule = float | tuple[tuple[float, float], ...]  # a number, or [share of training, value] points with lines between
FOLDER = Path(__file__).parent / "recipes"
MERGED = ("interaction", "alignment", "readout", "views", "training")  # sections that a child may change in part


@dataclass(frozen=True)
class TeacherSpec:
    """A teacher, and so a representational space of the student."""

    name: str  # name of its space: the part after '#' in ckpt.pth#dino
    objective: str  # decides the global target and the feature loss: classification, clip, mae, dino
    backbone: str  # a name as in `umt backbones list`
    weights: str | None = None  # a file in the weights folder, for weights that no hub has
    source: str | None = None  # instructions to get that file, printed if it is missing
    feature_loss: str | None = None  # instead of the objective's own (table 5)
    summary_loss: str = "mse"  # of the model token: mse (the paper's), smooth_l1, cosine, cosine_l1, angular
    weight: Schedule = 1.0  # of this teacher's losses in the sum
    map: int = -1  # the map whose cells are the target: -1 for the last stage or block, -2 for the one before it
    size: int | str | None = None  # pixels of its input; 'grid' for as many cells as the student has; null: the view's
    mosaic: int = 1  # views in each direction that it sees as one picture of `size` pixels (AM-RADIO)

    def __post_init__(self) -> None:
        if self.mosaic < 1:
            raise DeclarationError(
                f"teacher '{self.name}': mosaic is {self.mosaic}; take 1 or more views in each direction"
            )


@dataclass(frozen=True)
class InteractionSpec:
    """Interaction of spaces that are made from the student's features (paper sections 3.2, 3.3 and A.2)."""

    method: str = "umt"  # or projectors: plain one-to-many alignment, the baseline; or ladder: on every map (UNIC)
    maps: dict[str, int] = field(default_factory=dict)  # space -> the student's map that it is made of; -1, the last
    blocks: str = "auto"  # cnn, vit, or auto: vit if the student has a class token
    rounds: int = 1  # N, alternating cross-space and intra-space modules
    model_token: bool = True
    cross_space: bool = True
    intra_space: bool = True
    width: int | None = None  # d of every space, null for the student's own width
    token_width: int | None = None  # d_m of the model token, null for d
    token_pooling: str = "after"  # its shared LayerNorm-Linear head (paper A.3), or before it (section 3.4)
    groups: int = 32  # G of the 1x1 convolutions in CNN modules
    heads: int = 12  # heads of a ViT module; cross-space modules have M times as many
    ffn_ratio: float = 4.0  # hidden width of a ViT module's FFN over its width

    def map_of(self, space: str) -> int:
        """Return the student's map that a space is made of, counted from its last one."""
        return self.maps.get(space, -1)


@dataclass(frozen=True)
class AlignmentSpec:
    """Choices for the losses between spaces and targets, beyond the paper's plain sum."""

    standardise: str = "none"  # teachers' features: none, mean_std, or phi_s (PHI-S, Ranzinger et al. 2024)
    standardise_summary: str | None = None  # another method for the summaries; null for the same
    statistics_images: int = 1024  # views that the standardisation's moments and angular dispersions are taken from
    balance: str = "none"  # none, magnitude, gradient, or uncertainty, see `alignment.balance.Balance`
    teacher_drop: float = 0.0  # chance that a teacher other than the worst is left out for an image (UNIC)
    token_weight: Schedule = 1.0  # of the model token's loss beside the feature loss
    relation: float = 0.0  # weight of the relational loss of summaries, without a token of pooled features (SigLino)
    shift: int = 0  # cells by which the student's view moves at most against the teachers' (C-RADIOv4, equation 1)
    student_sizes: tuple[int, ...] = ()  # pixels of the student's view, drawn for a batch; none: the view's own size


@dataclass(frozen=True)
class ViewSpec:
    """The augmented view of an image that student and teachers see."""

    size: int = 224  # pixels
    scale: tuple[float, float] = (0.2, 1.0)  # share of the image's area that a crop covers
    ratio: tuple[float, float] = (0.75, 4 / 3)  # width over height of a crop
    hflip: float = 0.5  # chance of a mirror image
    jitter: float = 0.0  # largest relative change of brightness, contrast and saturation


@dataclass(frozen=True)
class DistillRecipe:
    """A distillation; `recipes/*.yaml` hold those of the paper."""

    name: str
    about: str  # a sentence: the origin of this setting
    student: str  # a backbone's name; its weights are random
    teachers: tuple[TeacherSpec, ...]
    training: Training
    interaction: InteractionSpec = InteractionSpec()
    alignment: AlignmentSpec = AlignmentSpec()
    readout: Readout | None = None  # heads that the student is evaluated through, null for the plain student
    views: ViewSpec = ViewSpec()
    datasets: tuple[str, ...] = ("imagenet",)  # data sets whose training images are used, without labels
    dataset_weights: dict[str, float] = field(default_factory=dict)  # times that an epoch shows a set's images; else 1
    ema: float | None = None  # decay of the student's average over steps, null for the last weights
    seed: int = 0
    start: str | None = None  # a UMT checkpoint whose student and spaces it begins with: a stage after another one
    otherwise: str | None = None  # the recipe to take if weight files of this one are missing

    def __post_init__(self) -> None:
        if not self.teachers:
            raise DeclarationError(f"recipe '{self.name}': field 'teachers' is empty; name at least one")
        if self.seed < 0:
            raise DeclarationError(f"recipe '{self.name}': seed is {self.seed}; take 0 or more")
        names = [teacher.name for teacher in self.teachers]
        _refuse_twice(self.name, "name", names)
        for part, head in asdict(self.readout).items() if self.readout else ():
            if head not in names:
                raise unknown_name(f"readout.{part} of recipe '{self.name}'", head, names)
        for name, weight in self.dataset_weights.items():
            if name not in self.datasets:
                raise unknown_name(f"dataset_weights of recipe '{self.name}'", name, self.datasets)
            if weight <= 0:
                raise DeclarationError(f"recipe '{self.name}': dataset_weights.{name} is {weight}; take more than 0")
        for name in self.interaction.maps:
            if name not in names:
                raise unknown_name(f"interaction.maps of recipe '{self.name}'", name, names)
        _refuse_twice(
            self.name, "backbone", [f"{item.backbone} {item.weights or ''}".strip() for item in self.teachers]
        )

    def record(self) -> dict[str, Any]:
        """Return plain values for a checkpoint, where `objective` keeps its older name `kind`: reports compare them."""
        teachers = [
            {"kind" if name == "objective" else name: value for name, value in asdict(teacher).items()}
            for teacher in self.teachers
        ]
        return {**asdict(self), "teachers": teachers}


def recipe_names() -> list[str]:
    """List the recipes that ship with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name: str, changes: Sequence[str] = (), *, trusted: bool = False) -> DistillRecipe:
    """Read `recipes/<name>.yaml` or a YAML file, with changes such as 'training.batch=64'.

    A recipe is called after its file; a change names a teacher, as in 'teachers.dino.objective=mae'. trusted: if true,
    backbones that the file names may run code and lie anywhere; else they are hub names, plug-ins, and checkpoints
    beside it. Changes are typed by people, who may name anything.

    Raises UMTError with the file, the field and the value that is wrong.
    """
    path = recipe_path(name)
    record = _resolve(path)
    if not trusted:
        _make_names_safe(record, path)
    for change in changes:
        _apply(record, change)
    if rename_kind(record):
        message = (
            f"{path}: field 'kind' of a teacher is now called 'objective'; the old name goes with the next release"
        )
        warnings.warn(message, FutureWarning, stacklevel=2)
    return build(DistillRecipe, {**record, "name": path.stem}, path)


def rename_kind(record: dict[str, Any]) -> bool:
    """Rename the field `kind` of teachers, as version 0.1 called it, to `objective`; return true if there was any."""
    teachers = record.get("teachers")
    old = [item for item in teachers if isinstance(item, dict) and "kind" in item] if isinstance(teachers, list) else []
    for teacher in old:
        teacher["objective"] = teacher.pop("kind")
    return bool(old)


def recipe_path(name: str) -> Path:
    """Return the file of a recipe that is given by its name, or by the file itself."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else below(FOLDER, f"{name}.yaml")
    if missing(path):
        raise unknown_name("recipe", name, recipe_names())
    return path


def other_recipe(name: str, reference: str) -> str:
    """Return the recipe that another one, by its name or file, names: a shipped one, or a file beside it."""
    if not reference.endswith((".yaml", ".yml")):
        return reference
    return str(below(recipe_path(name).parent, reference))


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """List the fields in which two records differ, as 'training.lr: 0.001, now 0.01'."""
    lines: list[str] = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {before}, now {after}")
    return lines


def _make_names_safe(record: dict[str, Any], path: Path) -> None:
    """Replace backbones by names that a file may choose; TrustError for any other name."""
    if isinstance(record.get("student"), str):
        record["student"] = name_from_file(record["student"], path, "student")
    if isinstance(record.get("start"), str):
        record["start"] = str(below(path.parent, record["start"]))
    teachers = record.get("teachers")
    for teacher in teachers if isinstance(teachers, list) else ():
        if isinstance(teacher, dict) and isinstance(teacher.get("backbone"), str):
            teacher["backbone"] = name_from_file(teacher["backbone"], path, "teachers.backbone")


def _resolve(path: Path, children: tuple[Path, ...] = ()) -> dict[str, Any]:
    """Return the record of a recipe over those that it extends; `children` are the files that led here."""
    if path in children:
        raise DeclarationError(f"{path}: field 'extends' leads back to the recipe itself; name another")
    record = read_mapping(path)
    refuse_fields(record, ("name",), path, "a recipe is called after its file")
    parent = record.pop("extends", None)
    if parent is None:
        return record
    if not isinstance(parent, str):
        raise DeclarationError(f"{path}: field 'extends' is {parent!r:.80}, expected the name of a recipe")
    beside = below(path.parent, f"{parent}.yaml")
    base = _resolve(beside if beside.is_file() else recipe_path(parent), (*children, path))
    base.pop("otherwise", None)
    if isinstance(record.get("teachers"), dict):
        _change_teachers(path, base.get("teachers"), record.pop("teachers"))
    elif "teachers" in record:
        base.pop("readout", None)  # it names heads of other teachers
    merged = {key: {**base[key], **record[key]} for key in MERGED if _both_mappings(base.get(key), record.get(key))}
    return {**base, **record, **merged}


def _change_teachers(path: Path, teachers: Any, changes: Mapping[str, Any]) -> None:
    """Set the fields that a child changes in the parent's teachers, by their names."""
    by_name = _teachers_by_name(teachers)
    for name, fields in changes.items():
        if name not in by_name:
            raise unknown_name(f"teacher in field 'teachers' of {path}", str(name), by_name)
        if not isinstance(fields, dict):
            raise DeclarationError(f"{path}: field 'teachers.{name}' is {fields!r:.80}, expected fields of the teacher")
        by_name[name].update(fields)


def _teachers_by_name(teachers: Any) -> dict[str, dict[str, Any]]:
    listed = teachers if isinstance(teachers, list) else []
    return {str(item["name"]): item for item in listed if isinstance(item, dict) and "name" in item}


def _both_mappings(*values: Any) -> bool:
    return all(isinstance(value, dict) for value in values)


def _apply(record: dict[str, Any], change: str) -> None:
    """Set one field by its dotted path; a teacher is found by its name."""
    path, separator, text = change.partition("=")
    if not separator:
        raise OptionError(f"--set {change}: write it as FIELD=VALUE, e.g. training.batch=64")
    *parents, last = path.split(".")
    target: Any = record
    for part in parents:
        target = _child(target, part, change)
    if not isinstance(target, dict):
        raise OptionError(f"--set {change}: '{'.'.join(parents)}' has no fields")
    target[last] = scalar(text)
    if target is record and last == "teachers":
        record.pop("readout", None)


def _child(record: Any, part: str, change: str) -> Any:
    if isinstance(record, list):
        teachers = _teachers_by_name(record)
        if part not in teachers:
            raise OptionError(f"--set {change}: {unknown_name('teacher', part, teachers)}")
        return teachers[part]
    if not isinstance(record, dict):
        raise OptionError(f"--set {change}: '{part}' has no fields")
    return record.setdefault(part, {})


def _refuse_twice(recipe: str, field: str, values: Iterable[str]) -> None:
    earlier_values: set[str] = set()
    for value in values:
        if value in earlier_values:
            raise DeclarationError(
                f"recipe '{recipe}': teacher {field} '{value}' is listed twice; remove one or change it"
            )
        earlier_values.add(value)


def missing_weights(recipe: DistillRecipe, folder: Path) -> list[str]:
    """List the teachers whose weight file is not in `folder`, a line each: its name, the missing path, the remedy."""
    return [
        f"teacher '{teacher.name}': weight file {below(folder, teacher.weights, links=True)} is not there; "
        f"{teacher.source or 'put it there'}, or name another folder with --weights DIR"
        for teacher in recipe.teachers
        if teacher.weights and not (folder / teacher.weights).is_file()
    ]
