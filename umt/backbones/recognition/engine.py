"""Recognise a checkpoint: open it, choose the backbone in it, name its layout and architecture, and prove the fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

import timm
from torch import Tensor

from umt.backbones.build_record import keep, recall
from umt.backbones.containers.files import Container
from umt.backbones.containers.parts import parts
from umt.backbones.recognition import fitting
from umt.backbones.recognition.attempts import Attempt, Choices, attempt_by_timm, attempts_at
from umt.backbones.recognition.builders import by_timm, empty_model, resized
from umt.backbones.recognition.candidates import UNKNOWN_BRANCH, Candidate, choose, find_places, outside, whole_parts
from umt.backbones.recognition.convert import converted
from umt.backbones.recognition.evidence import evidence, preprocess_of, questions
from umt.backbones.recognition.facts import Facts, arguments, read_facts
from umt.backbones.recognition.layout import Layout, layouts
from umt.backbones.recognition.recognised import RecognisedCheckpoint, TensorSource
from umt.backbones.weights import stamp_of_file
from umt.errors import UMTError, WeightsError

NAMES = {
    "timm": ("timm's names", "https://github.com/huggingface/pytorch-image-models"),
    "open_clip": ("open_clip's names", "https://github.com/mlfoundations/open_clip"),
}
CHUNKED, UNCHUNK = r"^blocks\.\d+\.\d+\.attn\.", ((r"^blocks\.\d+\.(\d+)\.", r"blocks.\1."),)  # of FSDP
NO_CHOICES = Choices()


def recognise_in(container: Container, choices: Choices = NO_CHOICES) -> RecognisedCheckpoint:
    """Recognise weights that are open; a file that has not been touched since the plan of a run is known from there."""
    stamp = stamp_of_file(container.path)
    question = f"recognition of {container.path}, stamp {stamp}, {choices}, beside {container.facts}"
    recognised = recall(question, RecognisedCheckpoint) if stamp else None
    if recognised:
        return recognised.with_state(_state_of(container, recognised))
    recognised = _recognise(container, choices)
    if stamp:
        keep(question, recognised.with_state({}))
    return recognised


def _state_of(container: Container, recognised: RecognisedCheckpoint) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint that is known, as they were taken when it was recognised."""
    source = recognised.tensors
    library, _, name = recognised.architecture.partition(":")
    part = next(part for part in parts(container.content) if part.where == source.where)
    state = Candidate(part, source.prefix, (), UNKNOWN_BRANCH).state
    model = empty_model(library, name, recognised.options)
    if source.by_timm:
        return fitting.fitted(model, by_timm(model, state))
    return fitting.fitted(model, resized(library, model, converted(state, source.layout)))


def _recognise(container: Container, choices: Choices) -> RecognisedCheckpoint:
    path = container.path
    facts = read_facts(container)
    named_layouts = _plain_layouts(choices.architecture or _timm_name(facts), choices)
    try:
        candidates = find_places(container.content, _in_order(named_layouts, facts.of_timm), arguments(container))
        matches = choose(candidates, choices.weights_of, choices.part)
        attempts = [attempt for candidate in matches for attempt in attempts_at(candidate, facts, choices)]
        if choices.architecture and choices.library == "timm" and all(attempt.fit.problems for attempt in attempts):
            matches = choose(whole_parts(container.content, named_layouts[0]), choices.weights_of, choices.part)
            attempts += [attempt_by_timm(candidate, named_layouts[0], choices) for candidate in matches]
    except UMTError as error:
        raise WeightsError(f"{path}: {error}") from error
    fits = [attempt for attempt in attempts if not attempt.fit.problems]
    if not fits:
        raise _refused(container, attempts, named_layouts)
    rivals = [attempt.candidate.title for attempt in fits if attempt.candidate is not fits[0].candidate]
    if rivals:
        raise WeightsError(
            f"{path}: holds several models that could be meant; add part={fits[0].candidate.title} or part={rivals[0]}"
        )
    return _recognised(container, fits[0], candidates, facts, choices)


def _in_order(named_layouts: Sequence[Layout], first: bool) -> list[Layout]:
    """Return the layouts that are tried: special ones, the names of the architecture that is named, generic ones."""
    special = [layout for layout in layouts() if not layout.generic]
    generic = [layout for layout in layouts() if layout.generic]
    return [*named_layouts, *special, *generic] if first else [*special, *named_layouts, *generic]


def _plain_layouts(name: str | None, choices: Choices) -> list[Layout]:
    """Return the layouts of a library's own names for an architecture, which itself says where the backbone is."""
    if name is None:
        return []
    typed = name == choices.architecture
    library = choices.library if typed else "timm"
    model = empty_model(library, name, choices.model if typed else {})
    anchor = next(name for name, value in model.named_parameters() if value.dim() == 4)
    title, source = NAMES[library]
    plain = Layout(title, source, anchor=anchor, library=library, family="named", candidates=(name,))
    return [plain, replace(plain, name=f"{title}, blocks in chunks", has=(CHUNKED,), rename=UNCHUNK)]


def _timm_name(facts: Facts) -> str | None:
    """Return the name of the architecture that the file states, if timm knows it."""
    name = facts.architecture
    return name if name is not None and timm.is_model(name.partition(".")[0]) else None


def _recognised(
    container: Container, best: Attempt, candidates: Sequence[Candidate], facts: Facts, choices: Choices
) -> RecognisedCheckpoint:
    beside, unknown = outside(best.candidate, candidates)
    allowed = [name for name in unknown if choices.allow and re.search(choices.allow, name)]
    unknown = [name for name in unknown if name not in allowed]
    best = replace(best, fit=replace(best.fit, allowed=(*best.fit.allowed, *allowed)))
    if unknown:
        raise WeightsError(
            f"{container.path}: refused: {len(unknown)} tensors beside the {best.layout.name} belong to nothing known: "
            f"{fitting.brief_names(unknown)}; if they may be left out, add allow=PATTERN"
        )
    preprocess, whose = preprocess_of(best, facts, choices)
    return RecognisedCheckpoint(
        path=container.path,
        layout=best.layout.name,
        source=best.layout.source,
        architecture=f"{best.library}:{best.architecture}",
        options=best.options,
        preprocess=preprocess,
        pooling=best.layout.pooling,
        tensors=TensorSource(best.candidate.part.where, best.candidate.prefix, best.layout, best.by_timm),
        fit=best.fit,
        part=best.candidate.title,
        beside=beside,
        evidence=evidence(container.kind, best, candidates, beside, whose, choices),
        open_questions=questions(best, whose, choices),
    )


def _refused(container: Container, attempts: Sequence[Attempt], named_layouts: Sequence[Layout]) -> UMTError:
    """Return the error for a file that nothing fits: the best attempt with names of both sides, else its own names."""
    if not attempts:
        return _unknown(container, named_layouts)
    best = max(attempts, key=lambda attempt: len(attempt.fit.state))
    if best.layout.refused:
        return WeightsError(f"{container.path}: refused: it is {best.layout.name}, and {best.layout.refused}")
    model = f" as {best.architecture}" if best.architecture else ""
    return WeightsError(
        f"{container.path}: refused: read as {best.layout.name}{model}, {'; '.join(best.fit.problems)}; check the "
        "architecture's name and options, or add allow=PATTERN for names that may differ"
    )


def _unknown(container: Container, named_layouts: Sequence[Layout]) -> UMTError:
    states = [part for part in parts(container.content) if part.state]
    if not states:
        return WeightsError(
            f"{container.path}: refused: holds no state dict; save the model's state_dict() with torch.save or "
            "safetensors"
        )
    missing = (
        f"; '{named_layouts[0].anchor}' of {named_layouts[0].candidates[0]} is not among them" if named_layouts else ""
    )
    largest = max(states, key=lambda part: len(part.state))
    return WeightsError(
        f"{container.path}: refused: its {len(largest.state)} tensors ({fitting.brief_names(list(largest.state))}) are "
        f"of no layout that is known{missing}; check the architecture's name, or give one: timm:NAME?weights=FILE"
    )
