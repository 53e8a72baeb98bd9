"""Image towers of CLIP: open_clip's name for a tower, from the shapes of its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

import open_clip

from umt.backbones.recognition.convert import State
from umt.errors import WeightsError

PLAIN_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "no_causal_mask", "pool_type", "eos_id"}


def clip_architecture(state: State) -> tuple[str, dict[str, Any]]:
    """Return open_clip's name of the tower and the options that it needs; WeightsError if no tower has these shapes."""
    described = _resnet(state) if "attnpool.positional_embedding" in state else _transformer(state)
    size = described.pop("image_size")
    for name in sorted(open_clip.list_models(), key=lambda name: (len(name), name)):
        config = open_clip.get_model_config(name) or {}
        if _is_plain(config) and _described(config) == described:
            default_size = config["vision_cfg"].get("image_size", 224)
            return name, {} if default_size == size else {"force_image_size": size}
    raise WeightsError(f"no image tower of open_clip has {described}; name it: open_clip:MODEL?weights=FILE")


def _transformer(state: State) -> dict[str, Any]:
    patch = state["conv1.weight"]
    blocks = {name.split(".")[2] for name in state if name.startswith("transformer.resblocks.")}
    return {
        "embed_dim": state["proj"].shape[1],
        "width": patch.shape[0],
        "layers": len(blocks),
        "patch_size": patch.shape[-1],
        "image_size": patch.shape[-1] * isqrt(state["positional_embedding"].shape[0] - 1),
    }


def _resnet(state: State) -> dict[str, Any]:
    depths = [len({name.split(".")[1] for name in state if name.startswith(f"layer{stage}.")}) for stage in range(1, 5)]
    return {
        "embed_dim": state["attnpool.c_proj.weight"].shape[0],
        "width": state["conv3.weight"].shape[0],
        "layers": depths,
        "patch_size": None,
        "image_size": 32 * isqrt(state["attnpool.positional_embedding"].shape[0] - 1),
    }


def _described(config: Mapping[str, Any]) -> dict[str, Any]:
    vision = config["vision_cfg"]
    return {"embed_dim": config["embed_dim"], **{name: vision.get(name) for name in ("width", "layers", "patch_size")}}


def _is_plain(config: Mapping[str, Any]) -> bool:
    """Return whether the towers are CLIP's own, not a timm model, a Hugging Face text model or a variant."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    special = {"timm_model_name", "attentional_pool", "no_ln_pre", "pool_type", "final_ln_after_pool", "ls_init_value"}
    return not special & vision.keys() and not config.get("custom_text") and set(text) <= PLAIN_TEXT
