"""From the names of a layout to those of the model: renamed, joined and split as the layout declares."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor

from umt.backbones.containers.spectral import without_spectral_norms
from umt.backbones.recognition.layout import Layout, Merge, Split
from umt.errors import WeightsError

SUM = re.compile(r"<(\d+)\+(-?\d+)>")  # in a replacement: the number of a block that the model counts from elsewhere
State = Mapping[str, Tensor]


def converted(state: State, layout: Layout) -> dict[str, Tensor]:
    """Return the tensors under the model's names; UMTError if two of them would have one name."""
    state = without_spectral_norms(state)
    names = {name: _renamed(name, layout) for name in state}
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        if names[name] in result:
            raise WeightsError(f"'{name[:80]}' and another tensor are both the model's '{names[name][:80]}'")
        result[names[name]] = _turned(name, value) if layout.jax else value
    if layout.transpose:
        result |= {name: value.mT for name, value in result.items() if re.match(layout.transpose, name)}
    if layout.unfolded:
        result |= {name: _merged(value) for name, value in result.items() if re.match(layout.unfolded, name)}
    for bias, weight in layout.zero.items():
        if weight in result:
            result.setdefault(bias, torch.zeros(result[weight].shape[:1], dtype=result[weight].dtype))
    for merge in layout.join:
        result = _joined(result, merge)
    for split in layout.split:
        result = _split(result, split)
    if layout.tokens in result:
        _give_tokens(result, layout.tokens)
    if layout.flat_patches:
        _unflatten_patches(result)
    if layout.still:
        clips = _of_axes(result["patch_embed.proj.weight"], 5, "patch_embed.proj.weight")
        result["patch_embed.proj.weight"] = clips.float().sum(2)
    if layout.fold_cls_position and {"cls_token", "pos_embed"} <= result.keys():
        _fold(result)
    return result


def _renamed(name: str, layout: Layout) -> str:
    for pattern, replacement in layout.rename:
        name = re.sub(pattern, replacement, name)
    return SUM.sub(lambda match: str(int(match[1]) + int(match[2])), name)


def _turned(name: str, value: Tensor) -> Tensor:
    """Return a tensor of JAX as torch has it: outputs before inputs, the heads of attention in one axis."""
    if name.endswith(("/query/kernel", "/key/kernel", "/value/kernel")):
        return value.flatten(1).mT
    if name.endswith("/out/kernel"):
        return value.flatten(0, 1).mT
    if name.endswith("/kernel"):
        return value.permute(3, 2, 0, 1) if value.dim() == 4 else value.mT
    return value.flatten() if name.endswith("/bias") else value


def _merged(value: Tensor) -> Tensor:
    """Return a tensor over 2 x 2 cells in Swin's order: cells column by column, channels last."""
    return value.unflatten(-1, (-1, 4))[..., [0, 2, 1, 3]].mT.flatten(-2) if value.shape[-1] % 4 == 0 else value


def _joined(state: State, merge: Merge) -> dict[str, Tensor]:
    pattern = re.compile(re.escape(merge.of[0]).replace(r"\{\}", "(.*)"))
    result = dict(state)
    for name in state:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        shared = match.groups()
        names = [_filled(of, shared) for of in merge.of]
        example = state[name]
        pieces = [result.pop(name, None) for name in names]
        zero = [_filled(of, shared) in names and of in merge.zero for of in merge.of]
        if any(piece is None and not may for piece, may in zip(pieces, zero, strict=True)):
            result |= {name: piece for name, piece in zip(names, pieces, strict=True) if piece is not None}
            continue
        result[_filled(merge.into, shared)] = torch.cat(
            [torch.zeros_like(example) if piece is None else piece for piece in pieces]
        )
    return result


def _split(state: State, split: Split) -> dict[str, Tensor]:
    pattern = re.compile(re.escape(split.of).replace(r"\{\}", "(.*)"))
    result: dict[str, Tensor] = {}
    for name, value in state.items():
        match = pattern.fullmatch(name)
        if match is None or value.shape[0] % sum(split.shares):
            result[name] = value
            continue
        unit = value.shape[0] // sum(split.shares)
        pieces = value.split([unit * share for share in split.shares])
        result |= {_filled(into, match.groups()): piece for into, piece in zip(split.into, pieces, strict=True)}
    return result


def _filled(template: str, shared: tuple[str, ...]) -> str:
    for text in shared:
        template = template.replace("{}", text, 1)
    return template


def _fold(state: dict[str, Tensor]) -> None:
    """Add the first position to the class token, in float32 as the models add it."""
    positions = state["pos_embed"]
    state["cls_token"] = state["cls_token"] + positions[:, :1]
    state["pos_embed"] = positions[:, 1:]


def _give_tokens(state: dict[str, Tensor], name: str) -> None:
    """Name the first of several tokens the class token, and the others registers."""
    tokens = _of_axes(state.pop(name), 2, name)[None]
    state["cls_token"] = tokens[:, :1]
    if tokens.shape[1] > 1:
        state["reg_token"] = tokens[:, 1:]


def _unflatten_patches(state: dict[str, Tensor]) -> None:
    """Give a patch embedding [width, 3 * side * side] the axes of a convolution, and the bias that timm's has."""
    weight = _of_axes(state["patch_embed.proj.weight"], 2, "patch_embed.proj.weight")
    side = isqrt(weight.shape[1] // 3)
    if weight.shape[1] != 3 * side * side:
        raise WeightsError(f"its patches have {weight.shape[1]} values, not those of three square channels")
    state["patch_embed.proj.weight"] = weight.reshape(weight.shape[0], 3, side, side)
    state.setdefault("patch_embed.proj.bias", torch.zeros_like(weight[:, 0]))


def _of_axes(value: Tensor, axes: int, name: str) -> Tensor:
    if value.dim() != axes or not value.numel():
        raise WeightsError(f"'{name}' is {tuple(value.shape)}, not a tensor of {axes} axes")
    return value
