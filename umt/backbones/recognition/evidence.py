"""Sentences about a recognised checkpoint: preprocessing and whose it is, counts, and questions that remain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from umt.backbones.contract import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from umt.backbones.recognition.attempts import ATTENTIVE, Attempt, Choices
from umt.backbones.recognition.builders import tag_preprocess
from umt.backbones.recognition.candidates import Candidate
from umt.backbones.recognition.facts import Facts
from umt.backbones.recognition.fitting import WeightFit

COLOURS = {
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}

QUESTIONS = {
    "act_layer": "which activation it has; add act_layer=quick_gelu for OpenAI's weights, or act_layer=gelu",
    "positions": (
        "if its table of positions is used; add positions=vjepa2 for V-JEPA 2, which rotates instead; V-JEPA, which "
        "adds the table, is not supported: wrap its code in a backbone of your own (docs/backbones.md)"
    ),
    "summary_tokens": (
        "which of its tokens are the summary of an image; add summary_tokens=[0, 1, 2] with the numbers of those whose "
        "teacher has one"
    ),
    "force_quick_gelu": "which activation it has; add force_quick_gelu=true for those of OpenAI, or =false",
    "window_size": "how large its windows are; add window_size=8&img_size=256, or another window and size",
}


def preprocess_of(best: Attempt, facts: Facts, choices: Choices) -> tuple[Preprocess, str]:
    """Return the preprocessing, and who states the normalisation: the file, then its family, then timm's tag."""
    values: dict[str, Any] = {}
    whose = ""
    if choices.architecture or best.layout.family == "named" or best.library == "open_clip":
        values = asdict(tag_preprocess(best.library, best.architecture, best.options))
        whose = f"{best.library}'s {best.architecture}"
    side = best.options.get("img_size", best.options.get("force_image_size"))
    if isinstance(side, int):
        values["size"] = side
    if best.layout.preprocess is not None:
        family = dict(best.layout.preprocess)
        values["mean"], values["std"] = COLOURS[family.pop("colours")]
        values, whose = values | family, best.layout.name
    if "mean" in facts.preprocess:
        whose = facts.said_by["mean"]
    if "mean" in choices.image:
        whose = "your option"
    return Preprocess(**{**values, **facts.preprocess}), whose


def questions(best: Attempt, whose: str, choices: Choices) -> tuple[str, ...]:
    """Return what neither the file nor its layout tells, each with the text to add to the name.

    Nothing is asked about an architecture that the user names: it has its activation, heads and normalisation.
    """
    if choices.architecture:
        return ()
    lines = []
    if not whose:
        lines.append(
            "how its images are normalised; add mean=[0.485, 0.456, 0.406]&std=[0.229, 0.224, 0.225] for ImageNet's "
            "colours, or mean=0.5&std=0.5"
        )
    if best.layout.family in ATTENTIVE and "num_heads" in best.options and not best.heads:
        lines.append(
            f"how many heads it has; add num_heads={best.options['num_heads']} for heads of 64, or another number"
        )
    for name in best.layout.asks:
        if name not in best.options:
            lines.append(QUESTIONS[name])
    return tuple(lines)


def evidence(
    kind: str,
    best: Attempt,
    candidates: Sequence[Candidate],
    beside: Mapping[str, list[str]],
    whose: str,
    choices: Choices,
) -> dict[str, str]:
    """Return what the checkpoint is and why, for people, in the order in which it was found out."""
    lines = {
        "file": kind,
        "part": best.candidate.title or "the whole file",
        "weights": best.candidate.branch.about,
        "also there": _rivals(best.candidate, candidates),
        "layout": f"{best.layout.name} ({best.layout.source})",
        "architecture": _architecture(best, choices),
        "normalisation": f"of {whose}" if whose else "unknown",
        "global feature": best.layout.pooling or _own_pooling(best),
        "tensors": _counts(best.fit, beside),
        "allowed": ", ".join(best.fit.allowed),
    }
    return {name: text for name, text in lines.items() if text}


def _own_pooling(best: Attempt) -> str:
    tokens = best.options.get("summary_tokens")
    return f"summary tokens {tokens}, one after the other" if tokens else "as the architecture pools"


def _rivals(candidate: Candidate, candidates: Sequence[Candidate]) -> str:
    rivals = [rival for rival in candidates if rival.title != candidate.title and rival.branch.role in ("ema", "last")]
    if not rivals:
        return ""
    role = "last" if candidate.branch.role == "ema" else "ema"
    switch = f"; weights_of={role} takes those" if any(rival.branch.role == role for rival in rivals) else ""
    return ", ".join(f"part={rival.title}" for rival in rivals[:4]) + switch


def _architecture(best: Attempt, choices: Choices) -> str:
    """Return the architecture with its options, grouped by who says them."""
    groups: dict[str, list[str]] = {
        "from the shapes": [],
        "as the file states": [],
        "as the layout has it": [],
        "as you say": [],
    }
    for name, value in best.options.items():
        if value is not None:
            groups[_origin(name, value, best, choices)].append(f"{name} {value}")
    origins = "; ".join(f"{', '.join(options)}, {origin}" for origin, options in groups.items() if options)
    heads = f" (heads: {best.heads})" if best.heads else ""
    return f"{best.library}:{best.architecture}" + (f" with {origins}{heads}" if origins else "")


def _origin(name: str, value: Any, best: Attempt, choices: Choices) -> str:
    if name in choices.model:
        return "as you say"
    if best.layout.options.get(name) == value:
        return "as the layout has it"
    return "as the file states" if name in best.layout.states else "from the shapes"


def _counts(weights: WeightFit, beside: Mapping[str, list[str]]) -> str:
    kinds: dict[str, int] = {}
    for group in (weights.unused, beside):
        for kind, names in group.items():
            kinds[kind] = kinds.get(kind, 0) + len(names)
    unused = ", ".join(f"{count} of {kind}" for kind, count in sorted(kinds.items()))
    absent = "".join(f"; {len(names)} not in the file ({reason})" for reason, names in weights.absent.items())
    return f"{len(weights.state)} loaded; left: {unused or 'none'}{absent}"
