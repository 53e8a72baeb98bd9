"""Facts that a file or folder itself states: heads, activation, normalisation, size, the name of the model."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from umt.backbones.containers.files import Container
from umt.backbones.containers.parts import parts
from umt.backbones.containers.pickles import StandIn

PILLOW = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
# Activations of Hugging Face as timm's.
ACTIVATIONS = {
    "gelu": "gelu",
    "quick_gelu": "quick_gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_python": "gelu",
    "relu": "relu",
    "silu": "silu",
}
# Buffers that are facts: of the module that normalises images, and of RADIO's Hugging Face model.
TENSOR_FACTS = {
    "input_conditioner.norm_mean": "mean",
    "input_conditioner.norm_std": "std",
    "summary_idxs": "summary_tokens",
}
MAX_FACT = 64  # entries of such a buffer
MAX_SIDE = 8192
MAX_TEXT, BLOCK = 1 << 20, 1000  # characters of a configuration, and of the part about images


TIMM_TRAINING = frozenset(("arch", "state_dict", "version"))  # what timm's saver writes


@dataclass(frozen=True)
class Facts:
    """The facts that a file states of itself; a fact that it does not state is missing in the mappings."""

    architecture: str | None = None  # as timm names it, or as its training did
    model: Mapping[str, Any] = field(default_factory=dict)  # num_heads, act_layer, layer_norm_eps
    preprocess: Mapping[str, Any] = field(default_factory=dict)  # fields of Preprocess
    said_by: Mapping[str, str] = field(default_factory=dict)  # fact -> where it stands
    of_timm: bool = False  # true if timm wrote the file or folder, so that its names and defaults hold


def read_facts(container: Container) -> Facts:
    """Read all facts; of several places the first that states a fact is believed."""
    model: dict[str, Any] = {}
    preprocess: dict[str, Any] = {}
    sources: dict[str, str] = {}
    architecture = None
    for where, record in (*_tensor_records(container), *_records(container)):
        for target, facts in ((model, _model_facts(record)), (preprocess, _image_facts(record))):
            for name, value in facts.items():
                if name not in target:
                    target[name], sources[name] = value, where
        name = record.get("architecture", record.get("arch"))
        if architecture is None and isinstance(name, str) and len(name) < 100:
            architecture, sources["architecture"] = name, where
    written = isinstance(container.content, Mapping) and container.content.keys() >= TIMM_TRAINING
    described = "pretrained_cfg" in container.facts.get("config.json", {})
    return Facts(architecture, model, preprocess, sources, written or described)


def _tensor_records(container: Container) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the facts that RADIO's code keeps as tensors beside the weights; the outermost are the model's own."""
    for part in parts(container.content):
        for name in sorted(part.state, key=len):
            key = next((key for suffix, key in TENSOR_FACTS.items() if f".{name}".endswith(f".{suffix}")), None)
            if key is not None and part.state[name].numel() <= MAX_FACT:
                yield f"{name} in the file", {key: part.state[name].flatten().tolist()}


def arguments(container: Container) -> frozenset[str]:
    """Return the names of what a training saved as its arguments."""
    value = container.content.get("args") if isinstance(container.content, Mapping) else None
    value = value.attributes if isinstance(value, StandIn) else value
    return frozenset(name for name in value if isinstance(name, str)) if isinstance(value, Mapping) else frozenset()


def _records(container: Container) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Return the mappings that may state facts, each with the name of its place, the most specific first."""
    for name in ("preprocessor_config.json", "open_clip_config.json", "config.json"):
        record = container.facts.get(name, {})
        for inner in ("preprocess_cfg", "pretrained_cfg", "vision_config", "args"):
            if isinstance(record.get(inner), Mapping):
                yield f"{name}: {inner}", record[inner]
        yield name, record
    content = container.content
    if not isinstance(content, Mapping):
        return
    for path in (("lightly_train", "normalize_args"), ("args",), ("hyper_parameters",), ("config",), ("meta",), ()):
        value: Any = content
        for part in path:
            value = value.get(part) if isinstance(value, Mapping) else None
        value = value.attributes if isinstance(value, StandIn) else value
        if isinstance(value, Mapping):
            yield ".".join(path) or "the file", value
    meta = content.get("meta")
    if isinstance(meta, Mapping) and isinstance(meta.get("cfg"), str):
        yield "meta.cfg", _mmengine(meta["cfg"])


def _mmengine(text: str) -> dict[str, Any]:
    """Return the normalisation in the text of an OpenMMLab configuration, if its images are RGB; it is of bytes."""
    opening = re.search(r"data_preprocessor\s*=\s*dict\(", text[:MAX_TEXT])
    if opening is None:
        return {}
    block = text[opening.end() : opening.end() + BLOCK]
    colours = {name: re.search(rf"\b{name}=\[([\d., \n]+)\]", block) for name in ("mean", "std")}
    if not all(colours.values()) or re.search(r"(bgr_to_rgb|to_rgb)=True", block) is None:
        return {}
    return {
        name: [float(part) / 255 for part in match[1].split(",") if part.strip()]
        for name, match in colours.items()
        if match
    }


def _model_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    heads = record.get("num_attention_heads", record.get("num_heads"))
    if type(heads) is int and 0 < heads < 1000:
        facts["num_heads"] = heads
    activation = record.get("hidden_act")
    if activation in ACTIVATIONS:
        facts |= {"act_layer": ACTIVATIONS[activation], "force_quick_gelu": activation == "quick_gelu"}
    described = record.get("model_cfg")  # of open_clip
    if isinstance(described, Mapping):
        facts["force_quick_gelu"] = bool(described.get("quick_gelu", False))
    summary = record.get("summary_tokens", _summary(record))
    if isinstance(summary, list) and all(type(token) is int for token in summary):
        facts["summary_tokens"] = summary
    eps = record.get("layer_norm_eps")
    if isinstance(eps, float) and 0 < eps < 1:
        facts["layer_norm_eps"] = eps
    return facts


def _summary(record: Mapping[str, Any]) -> list[int] | None:
    """Return RADIO's summary tokens: those of its teachers that have one, the first of each name."""
    teachers = record.get("teachers")
    if not isinstance(teachers, list) or not all(isinstance(teacher, Mapping) for teacher in teachers):
        return None
    if not record.get("cls_token_per_teacher", True):
        return [0]
    first: dict[str, int] = {}
    for number, teacher in enumerate(teachers):
        if teacher.get("use_summary", True):
            first.setdefault(str(teacher.get("name")), number)
    return sorted(first.values())


def _image_facts(record: Mapping[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for name, keys in (("mean", ("image_mean", "mean")), ("std", ("image_std", "std"))):
        values = next((record[key] for key in keys if _is_colour(record.get(key))), None)
        if values is not None and (name == "mean" or min(values) > 0):
            facts[name] = tuple(float(value) for value in values)
    interpolation = (
        PILLOW.get(record["resample"]) if type(record.get("resample")) is int else record.get("interpolation")
    )
    if interpolation in INTERPOLATIONS:
        facts["interpolation"] = interpolation
    return facts | _sizes(record)


def _sizes(record: Mapping[str, Any]) -> dict[str, Any]:
    size, crop = (_side(record.get(key)) for key in ("size", "crop_size"))
    if size is None and isinstance(record.get("preferred_resolution"), list):  # of RADIO
        size = _side(record["preferred_resolution"][-1])
    share = record.get("crop_pct")
    if size is None and isinstance(record.get("input_size"), Sequence) and len(record["input_size"]) == 3:
        size = _side(record["input_size"][-1])
    facts: dict[str, Any] = {}
    if crop is not None and record.get("do_center_crop", True):
        facts["size"] = crop
        if size is not None and crop <= size:
            facts["crop_pct"] = crop / size
    elif size is not None:
        facts |= {"size": size, "crop_pct": 1.0} if "image_mean" in record else {"size": size}
    if isinstance(share, float) and 0.1 <= share <= 1:
        facts["crop_pct"] = share
    return facts


def _side(value: Any) -> int | None:
    if isinstance(value, Mapping):
        value = value.get("shortest_edge", value.get("height"))
    return value if type(value) is int and 0 < value <= MAX_SIDE else None


def _is_colour(value: Any) -> bool:
    if not isinstance(value, (list, tuple)) or len(value) != 3:
        return False
    return all(isinstance(part, (int, float)) and math.isfinite(part) and abs(part) <= 255 for part in value)
