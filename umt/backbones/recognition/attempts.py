"""A layout tried on a place of a file: names converted, architecture inferred, and the fit of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import timm
from torch import nn

from umt.backbones.recognition.builders import by_timm, empty_model, resized
from umt.backbones.recognition.candidates import Candidate
from umt.backbones.recognition.clip import clip_architecture
from umt.backbones.recognition.convert import State, converted
from umt.backbones.recognition.facts import Facts
from umt.backbones.recognition.fitting import WeightFit, fit
from umt.backbones.recognition.layout import Layout, names
from umt.backbones.recognition.shapes import FAMILIES
from umt.errors import UMTError, WeightsError, first_line

HEAD_WIDTH = 64
ATTENTIVE = ("vit", "eva")  # families whose shapes do not tell the number of heads


class ContradictionError(WeightsError):
    """The user and the file say different things, so that no other layout may be tried."""


@dataclass(frozen=True)
class Choices:
    """The decisions of the user about a checkpoint, in its name."""

    weights_of: str | None = None
    part: str | None = None
    allow: str | None = None
    model: Mapping[str, Any] = field(default_factory=dict)  # options of the architecture
    image: tuple[str, ...] = ()  # fields of the preprocessing that the name overrides
    architecture: str | None = None  # its name, if the user names it
    library: str = "timm"  # the library that has the named architecture


@dataclass(frozen=True)
class Attempt:
    """A layout tried on a place of the file."""

    candidate: Candidate
    layout: Layout
    architecture: str
    options: Mapping[str, Any]
    fit: WeightFit
    model: nn.Module | None = None  # the architecture, without memory for weights
    heads: str = ""  # who says how many heads there are; empty if nobody does
    library: str = "timm"  # the library that has the architecture
    by_timm: bool = False  # true if timm's own converter turned the tensors


def attempts_at(candidate: Candidate, facts: Facts, choices: Choices) -> list[Attempt]:
    """Try the layouts of a place in their order, to the first that fits."""
    attempts: list[Attempt] = []
    for layout in candidate.layouts:
        tried = _attempts_with(layout, candidate, facts, choices)
        fitting = [attempt for attempt in tried if not attempt.fit.problems]
        if fitting:
            return [_agreeing(fitting[0], facts)]
        attempts += tried
    return attempts


def _attempts_with(layout: Layout, candidate: Candidate, facts: Facts, choices: Choices) -> list[Attempt]:
    try:
        if layout.refused:
            raise WeightsError(layout.refused)
        state = converted(candidate.state, layout)
        patterns = [choices.architecture] if choices.architecture else list(layout.candidates)
        if patterns:
            options = dict(choices.model) if choices.architecture else {**layout.options, **choices.model}
            return [_attempt(layout, candidate, state, name, options, choices) for name in _known(patterns)]
        if layout.library == "open_clip":
            name, options = clip_architecture(state)
            return [
                _attempt(
                    layout,
                    candidate,
                    state,
                    name,
                    {**options, **layout.options, **_stated(layout, facts), **choices.model},
                    choices,
                )
            ]
        options = FAMILIES[layout.family](state)
        name = _name(layout, options)
        options |= {**layout.options, **_stated(layout, facts), **choices.model}
        heads = ""
        if layout.family in ATTENTIVE:
            options["num_heads"], heads = _heads(layout, options["embed_dim"], facts, choices)
        return [replace(_attempt(layout, candidate, state, name, options, choices), heads=heads)]
    except ContradictionError:
        raise
    except (ArithmeticError, LookupError, UMTError) as error:
        return [Attempt(candidate, layout, "", {}, WeightFit({}, problems=(f"{first_line(error)}",)))]


def attempt_by_timm(candidate: Candidate, layout: Layout, choices: Choices) -> Attempt:
    """Try timm's own converter for the named architecture, which knows names of its authors that no layout has."""
    name = choices.architecture or ""
    model = empty_model("timm", name, choices.model)
    weights = fit(model, by_timm(model, candidate.state), layout, choices.allow)
    return Attempt(
        candidate, replace(layout, name="names that timm converts"), name, choices.model, weights, model, by_timm=True
    )


def _agreeing(attempt: Attempt, facts: Facts) -> Attempt:
    """Return an attempt that fits; with a problem if its heads are not those of the file, which no shape shows."""
    stated = facts.model.get("num_heads") or attempt.layout.heads.get(_width(attempt.fit.state), 0)
    blocks = getattr(attempt.model, "blocks", None)
    built = getattr(getattr(blocks[0], "attn", None), "num_heads", 0) if isinstance(blocks, nn.Sequential) else 0
    if not stated or not built or built == stated:
        return attempt
    problem = f"the file's model has {stated} heads, {attempt.architecture} {built} (num_heads={stated} sets them)"
    return replace(attempt, fit=replace(attempt.fit, problems=(*attempt.fit.problems, problem)))


def _width(state: State) -> int:
    return len(state["cls_token"].flatten()) if "cls_token" in state else 0


def _name(layout: Layout, options: dict[str, Any]) -> str:
    """Return timm's name of an architecture, or of its relative of the same width."""
    for name, size in names().get(layout.family, {}).items():
        if all(options.get(option) == value for option, value in size.items()):
            options.pop("expansion", None)
            return name
    return layout.models.get(options.pop("expansion", options.get("embed_dim", 0)), layout.models[0])


def _attempt(
    layout: Layout, candidate: Candidate, state: State, name: str, options: Mapping[str, Any], choices: Choices
) -> Attempt:
    options = {option: value for option, value in options.items() if value is not None}
    library = choices.library if choices.architecture else layout.library
    model = empty_model(library, name, options)
    weights = fit(model, resized(library, model, state), layout, choices.allow)
    return Attempt(candidate, layout, name, options, weights, model, library=library)


def _known(patterns: Sequence[str]) -> list[str]:
    return [name for text in patterns for name in (timm.list_models(text) if "*" in text else [text])]


def _stated(layout: Layout, facts: Facts) -> dict[str, Any]:
    """Return the options of the architecture that a configuration beside the file decides."""
    return {name: facts.model[name] for name in layout.states if name in facts.model}


def _heads(layout: Layout, width: int, facts: Facts, choices: Choices) -> tuple[int, str]:
    """Return the number of heads, and who says so; UMTError if the file and the user say different things."""
    stated, typed = facts.model.get("num_heads", layout.heads.get(width)), choices.model.get("num_heads")
    if stated and typed and stated != typed:
        raise ContradictionError(f"num_heads={typed} contradicts the file, which has {stated} heads")
    if typed:
        return typed, "your option"
    if stated:
        return stated, facts.said_by.get("num_heads", layout.name)
    if width % HEAD_WIDTH:
        raise WeightsError(f"its width {width} does not tell the number of heads; add num_heads=NUMBER")
    return width // HEAD_WIDTH, f"{HEAD_WIDTH} wide in {layout.name}" if layout.sure_heads else ""
