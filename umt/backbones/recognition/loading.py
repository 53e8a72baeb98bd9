"""Backbones of recognised checkpoints: a path as a name, or a library's name with `weights=FILE`."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from umt.backbones import checkpoint
from umt.backbones.containers.files import Container
from umt.backbones.containers.folders import open_container
from umt.backbones.contract import Backbone, preprocess_options
from umt.backbones.lean import adopt, uninitialised
from umt.backbones.recognition.attempts import Choices
from umt.backbones.recognition.builders import build
from umt.backbones.recognition.engine import recognise_in
from umt.backbones.recognition.recognised import RecognisedCheckpoint
from umt.backbones.spec import Spec
from umt.backbones.trust import FETCHING
from umt.backbones.weights import LoadReport
from umt.errors import SpecError, WeightsError

TEXT = "text tower"  # kind of tensors, in the conventions of all layouts
RECOGNITION = ("weights_of", "part", "allow")  # options that say which tensors are meant


def load_file(spec: Spec) -> Backbone:
    """Load what a path names: a student of a UMT checkpoint, or the backbone in a checkpoint of any public layout."""
    path = Path(spec.name).expanduser()
    fetching = next((option for option in FETCHING if option in spec.options), None)
    if fetching:
        raise SpecError(f"backbone '{spec.text}': a file has its own weights; leave out '{fetching}'")
    container = open_container(path)
    if path.is_file() and checkpoint.is_student(container):
        del container
        return checkpoint.load(spec)
    if spec.head:
        raise SpecError(f"backbone '{spec.text}': only UMT checkpoints have spaces; leave out '#{spec.head}'")
    return _built(spec, container, path, None)


def load_named(spec: Spec) -> Backbone:
    """Load `timm:NAME?weights=FILE`: the architecture is named, the file is recognised and must fit it."""
    path = Path(str(spec.options["weights"])).expanduser()
    return _built(
        spec, open_container(path), path, spec.name.partition("/")[0] if spec.scheme == "open_clip" else spec.name
    )


def _built(spec: Spec, container: Container, path: Path, architecture: str | None) -> Backbone:
    options = {name: value for name, value in spec.options.items() if name not in ("weights", "pretrained")}
    choices_typed = {name: options.pop(name, None) for name in RECOGNITION}
    images, pool = preprocess_options(options), options.pop("pool", None)
    choices = Choices(
        **choices_typed,
        model=options,
        image=tuple(images),
        architecture=architecture,
        library=spec.scheme or "timm",
    )
    recognised = recognise_in(container, choices)
    if recognised.open_questions:
        raise WeightsError(f"{path}: {recognised.layout}; no file can tell {'; nor '.join(recognised.open_questions)}")
    library, _, name = recognised.architecture.partition(":")
    built_as = Spec(f"{library}:{name}", library, name, {**recognised.options, **options})
    with nullcontext() if recognised.fit.absent else uninitialised():
        backbone, module = build(library, name, built_as.options)
    adopt(module, recognised.state)
    backbone.built_as = built_as
    size = {"size": options["img_size"]} if "img_size" in options and "size" not in images else {}
    preprocess = replace(recognised.preprocess, size_multiple=backbone.preprocess.size_multiple)
    backbone.use_preprocess(preprocess.override(**size, **images))
    backbone.use_pool(pool or recognised.pooling or None)
    if library == "open_clip" and pool is None:
        backbone.language = _language(spec, built_as.with_options(weights=str(path)), recognised)
    backbone.load_report = _report(recognised)
    backbone.notes = (*backbone.notes, *_notes(recognised))
    backbone.recognised = recognised.evidence
    backbone.provenance = {"checkpoint": dict(recognised.evidence)}
    return backbone


def _language(typed: Spec, built_as: Spec, recognised: RecognisedCheckpoint) -> str | None:
    """Return the name of the text tower beside an image tower, in the same part of the file; None without one."""
    if typed.scheme == "open_clip":
        return typed.with_options(part=recognised.part).text
    return built_as.with_options(part=recognised.part).text if TEXT in recognised.beside else None


def _notes(recognised: RecognisedCheckpoint) -> tuple[str, ...]:
    allowed = recognised.evidence.get("allowed")
    return (f"tensors that only allow= lets differ: {allowed}",) if allowed else ()


def _report(recognised: RecognisedCheckpoint) -> LoadReport:
    unexpected = [name for names in recognised.fit.unused.values() for name in names]
    missing = [name for names in recognised.fit.absent.values() for name in names]
    return LoadReport(sorted(recognised.state), sorted(missing), sorted(unexpected))
