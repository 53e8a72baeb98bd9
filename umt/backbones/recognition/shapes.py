"""Architectures inferred from the shapes of tensors under timm's names: depth, width, patch, registers and so on."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from math import isqrt
from typing import Any

from torch import Tensor

from umt.errors import WeightsError

State = Mapping[str, Tensor]
Options = dict[str, Any]
SWIN_SIZES = {7: 224, 12: 384, 8: 256, 16: 256, 24: 384}  # pixels that models of these windows are trained at
SWIN_V2_SIZES = {12: 192, 24: 384}


def vit(state: State) -> Options:
    """Return the options of timm's VisionTransformer, but for the number of heads."""
    options = _patches(state)
    width = options["embed_dim"]
    positions, class_token = state.get("pos_embed"), "cls_token" in state
    registers = state["reg_token"].shape[1] if "reg_token" in state else 0
    extra = class_token + ("dist_token" in state)
    if positions is not None:
        grid, prefix = _grid(positions, (0, extra, extra + registers))
        options |= {"img_size": grid * options["patch_size"]}
        if class_token and "dist_token" not in state:
            options["no_embed_class"] = prefix == 0
    else:
        options["pos_embed"] = "none"
    if "dist_token" not in state:
        options |= {"class_token": class_token, "reg_tokens": registers}
    norms = ("norm.weight" in state, "fc_norm.weight" in state)
    pool = "map" if "attn_pool.latent" in state else "token" if class_token and not norms[1] else "avg"
    return options | {
        "mlp_ratio": ratio(state["blocks.0.mlp.fc1.weight"].shape[0], width),
        "qkv_bias": "blocks.0.attn.qkv.bias" in state,
        "qk_norm": "blocks.0.attn.q_norm.weight" in state,
        "init_values": 1.0 if "blocks.0.ls1.gamma" in state else None,
        "pre_norm": "norm_pre.weight" in state,
        "fc_norm": norms[1],
        "final_norm": True,
        "global_pool": pool,
    }


def eva(state: State) -> Options:
    """Return the options of timm's Eva as DINOv3 uses it: rotary positions, LayerScale, registers."""
    options = _patches(state)
    hidden = state["blocks.0.mlp.fc2.weight"].shape[1]
    gated = "blocks.0.mlp.fc1_g.weight" in state
    return options | {
        "mlp_ratio": ratio(hidden, options["embed_dim"]),
        "num_reg_tokens": state["reg_token"].shape[1] if "reg_token" in state else 0,
        "qkv_bias": "blocks.0.attn.q_bias" in state,
        "swiglu_mlp": gated,
        "swiglu_align_to": 8 if gated else 0,
        "global_pool": "token",
    }


def beit(state: State) -> Options:
    """Return the options of timm's Beit; its tables of relative positions tell heads and image size."""
    options = _patches(state)
    shared = state.get("rel_pos_bias.relative_position_bias_table")
    table = state.get("blocks.0.attn.relative_position_bias_table", shared)
    if table is None:
        raise WeightsError("its blocks have no table of relative positions")
    side = (isqrt(table.shape[0] - 3) + 1) // 2
    return options | {
        "num_heads": table.shape[1],
        "img_size": side * options["patch_size"],
        "mlp_ratio": ratio(state["blocks.0.mlp.fc1.weight"].shape[0], options["embed_dim"]),
        "init_values": 1.0 if "blocks.0.gamma_1" in state else None,
        "use_abs_pos_emb": "pos_embed" in state,
        "use_rel_pos_bias": shared is None,
        "use_shared_rel_pos_bias": shared is not None,
        "global_pool": "avg" if "fc_norm.weight" in state else "token",
    }


def convnext(state: State) -> Options:
    """Return the options of timm's ConvNeXt."""
    depths = _depths(state, r"stages\.(\d+)\.blocks\.(\d+)\.")
    dims = [state[f"stages.{stage}.blocks.0.conv_dw.weight"].shape[0] for stage in range(len(depths))]
    scaled, grn = "stages.0.blocks.0.gamma" in state, "stages.0.blocks.0.mlp.grn.weight" in state
    return {"depths": depths, "dims": dims, "ls_init_value": 1e-6 if scaled else None, "use_grn": grn}


def resnet(state: State) -> Options:
    """Return the options of timm's ResNet: blocks, groups and widths from the shapes of the first stage."""
    layers = _depths(state, r"layer(\d+)\.(\d+)\.", first=1)
    options: Options = {"layers": layers, "expansion": 1}
    if "layer1.0.conv3.weight" not in state:
        return options
    middle = state["layer1.0.conv2.weight"]
    groups = middle.shape[0] // middle.shape[1]
    return options | {"expansion": 4, "cardinality": groups, "base_width": middle.shape[0] // groups}


def swin(state: State) -> Options:
    """Return the options of timm's SwinTransformer; the heads and windows stand in the tables of positions."""
    depths = _depths(state, r"layers\.(\d+)\.blocks\.(\d+)\.")
    tables = [state[f"layers.{stage}.blocks.0.attn.relative_position_bias_table"] for stage in range(len(depths))]
    window = (isqrt(tables[0].shape[0]) + 1) // 2
    return {
        "embed_dim": state["patch_embed.proj.weight"].shape[0],
        "depths": depths,
        "num_heads": [table.shape[1] for table in tables],
        "window_size": window,
        "img_size": SWIN_SIZES.get(window, 32 * window),
    }


def swin_v2(state: State) -> Options:
    """Return the options of timm's SwinTransformerV2; the windows stand in tables of coordinates, which it may lack."""
    depths = _depths(state, r"layers\.(\d+)\.blocks\.(\d+)\.")
    blocks = [f"layers.{stage}.blocks.0.attn" for stage in range(len(depths))]
    options = {
        "embed_dim": state["patch_embed.proj.weight"].shape[0],
        "depths": depths,
        "num_heads": [state[f"{block}.logit_scale"].shape[0] for block in blocks],
    }
    if f"{blocks[0]}.relative_coords_table" not in state:
        return options
    tables = [state[f"{block}.relative_coords_table"] for block in blocks]
    windows = [(table.shape[1] + 1) // 2 for table in tables]
    trained = [_trained_window(table, window) for table, window in zip(tables, windows, strict=True)]
    options |= {"window_size": windows[0], "img_size": SWIN_V2_SIZES.get(windows[0], 256)}
    return options if trained == windows else {**options, "pretrained_window_sizes": trained}


def _trained_window(table: Tensor, window: int) -> int:
    """Return the window of the training before: the last coordinate is log8(8 * (window - 1) / (trained - 1) + 1)."""
    last = 8 ** float(table[0, -1, -1, 0]) - 1
    return 1 + round(8 * (window - 1) / last) if math.isfinite(last) and last > 0 else window


def ratio(hidden: int, width: int) -> float:
    """Return the ratio by which a library gets the hidden width again, when it rounds down."""
    value = hidden / width
    return value if int(width * value) == hidden else value + 1e-9


def _patches(state: State) -> Options:
    weight = state["patch_embed.proj.weight"]
    if weight.dim() != 4 or weight.shape[1] != 3 or weight.shape[2] != weight.shape[3]:
        raise WeightsError(f"its patch embedding is {tuple(weight.shape)}, not [width, 3, side, side]")
    (depth,) = _depths(state, r"()blocks\.(\d+)\.")
    return {"embed_dim": weight.shape[0], "patch_size": weight.shape[-1], "depth": depth}


def _depths(state: State, pattern: str, first: int = 0) -> list[int]:
    """Return the number of blocks in each stage; UMTError if a stage or block is missing in between."""
    blocks_of: dict[int, set[int]] = {}
    for name in state:
        if match := re.match(pattern, name):
            blocks_of.setdefault(int(match[1] or first), set()).add(int(match[2]))
    stages = sorted(blocks_of)
    if stages != list(range(first, first + len(stages))) or not stages:
        raise WeightsError(f"its stages are numbered {stages}")
    for stage, blocks in blocks_of.items():
        if blocks != set(range(len(blocks))):
            raise WeightsError(f"the blocks of stage {stage} are numbered {sorted(blocks)}")
    return [len(blocks_of[stage]) for stage in stages]


def _grid(positions: Tensor, prefixes: tuple[int, ...]) -> tuple[int, int]:
    """Return the side of the grid that a table of positions is for, and the number of its entries before the grid."""
    tokens = positions.shape[-2]
    for prefix in prefixes:
        side = isqrt(tokens - prefix)
        if side * side == tokens - prefix:
            return side, prefix
    raise WeightsError(f"its {tokens} positions are those of no square grid")


FAMILIES: Mapping[str, Callable[[State], Options]] = {
    "vit": vit,
    "eva": eva,
    "beit": beit,
    "convnext": convnext,
    "resnet": resnet,
    "swin": swin,
    "swin_v2": swin_v2,
}
