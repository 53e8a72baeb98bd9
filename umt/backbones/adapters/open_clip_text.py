"""The text tower of an open_clip model: classes as directions in the space of its image encodings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import open_clip
import torch
from torch import Tensor, nn

from umt.backbones.adapters.building import building
from umt.backbones.adapters.open_clip_adapter import create
from umt.backbones.containers.folders import open_container
from umt.backbones.containers.parts import parts
from umt.backbones.contract import preprocess_options
from umt.backbones.spec import Spec, parse_spec
from umt.backbones.trust import refuse_untrusted
from umt.backbones.weights import load_weights
from umt.errors import WeightsError

VISUAL = "visual"  # the image tower of a model
SIZES = r"(input_resolution|context_length|vocab_size)$"  # numbers that OpenAI's archives hold as tensors
OF_IMAGES = ("pool", "dtype", "weights_of", "allow")  # options that do not concern the text tower
TEXTS_AT_ONCE = 256  # captions encoded at once
CLASSES_AT_ONCE = 10  # encoded at once, in all their sentences; it changes no number


def class_directions(
    language: str,
    names: Sequence[str],
    templates: Sequence[str],
    device: torch.device,
    progress: Callable[[int, int, str], None],
    *,
    seed: int = 0,
) -> Tensor:
    """Return unit vectors float32 [C, D]: the mean over templates of the unit text encodings of each class.

    language: a backbone's name, `open_clip:MODEL/PRETRAINED[?weights=FILE&...]`; a file must hold the whole model, and
    `part=` names the place of its image tower.
    templates: texts with `{}` for the name of a class. seed: of `create_backbone`, if the weights are random.
    """
    model, tokenizer = _text_encoder(language, device, seed)
    parts = []
    for start in range(0, len(names), CLASSES_AT_ONCE):
        part = names[start : start + CLASSES_AT_ONCE]
        parts.append(open_clip.build_zero_shot_classifier(model, tokenizer, part, templates, device=device))
        progress(start + len(part), len(names), "classes")
    return torch.cat(parts, dim=1).T.float()


def text_directions(
    language: str, texts: Sequence[str], device: torch.device, progress: Callable[[int, int, str], None]
) -> Tensor:
    """Return unit vectors float32 [T, D] of texts as they are; `language` is as in `class_directions`."""
    model, tokenizer = _text_encoder(language, device)
    parts = []
    with torch.no_grad():
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            part = list(texts[start : start + TEXTS_AT_ONCE])
            parts.append(model.encode_text(tokenizer(part).to(device), normalize=True).float())
            progress(start + len(part), len(texts), "captions")
    return torch.cat(parts)


def _text_encoder(language: str, device: torch.device, seed: int = 0) -> tuple[Any, Callable[[list[str]], Tensor]]:
    """Return the text tower, and the tokenizer before it."""
    spec = parse_spec(language)
    refuse_untrusted(spec)
    model = _text_tower(spec, seed).to(device).eval()
    length = spec.options.get("text_cfg", {}).get("context_length")
    with building(language, {}):
        return model, open_clip.get_tokenizer(spec.name.partition("/")[0], context_length=length)


def _text_tower(spec: Spec, seed: int) -> nn.Module:
    options = {name: value for name, value in spec.options.items() if name not in OF_IMAGES}
    preprocess_options(options)
    weights, location = options.pop("weights", None), options.pop("part", VISUAL)
    pretrained = options.pop("pretrained", weights is None)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: nn.Module = create(spec.name, pretrained, options)
    model.visual = nn.Identity()  # the image tower is a backbone already
    if weights is not None:
        _load_text(model, Path(str(weights)), str(location))
    return model


def _load_text(model: nn.Module, path: Path, location: str) -> None:
    """Load the weights of all but the image tower, which lies at `location`: the containers and its prefix."""
    names = model.state_dict().keys() - {"logit_scale", "logit_bias"}
    for part in parts(open_container(path).content):
        tower = location.removeprefix(".".join(part.where)).removeprefix(".")
        model_of = tower.rpartition(VISUAL)[0]
        whole_model = {
            name.removeprefix(model_of): value for name, value in part.state.items() if name.startswith(model_of)
        }
        state = {name: value for name, value in whole_model.items() if not name.startswith(f"{VISUAL}.")}
        if state.keys() & names:
            load_weights(model, state, source=str(path), ignored=SIZES)
            return
    raise WeightsError(f"{path}: holds no text tower; name classes with a file of the whole open_clip model")
