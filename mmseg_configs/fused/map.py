"""The class map of resized logits without the resized logits; compiled if numba is installed."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mmseg_configs.fused.resampling import Operator

CHUNK = {"cpu": 2**20, "cuda": 2**25}  # resized logits held at one time


@cache
def kernel() -> ModuleType | None:
    """Return the compiled loops, or None without numba."""
    return import_module("mmseg_configs.fused.kernel") if find_spec("numba") else None


def class_map(logits: Tensor, rows: Operator, columns: Operator) -> Tensor:
    """Return int64 [H, W]: the first class with the largest value of rows @ logits @ columns', in float64.

    logits: finite, [C, h, w]; rows: [H, h]; columns: [W, w].
    """
    compiled = kernel()
    if compiled is None or logits.device.type != "cpu":
        return chunked_class_map(logits, rows, columns)
    classes = np.empty((rows.size, columns.size), np.int64)
    values = logits.flatten(1).T.contiguous().view(*logits.shape[1:], -1).numpy()  # 2-D: torch then copies by blocks
    compiled.class_map(values, _parts(rows), _parts(columns), classes)
    return torch.from_numpy(classes)


def chunked_class_map(logits: Tensor, rows: Operator, columns: Operator) -> Tensor:
    """Compute `class_map` in plain torch on any device, some rows at a time."""
    lines = logits.double().permute(1, 0, 2).contiguous()  # [h, C, w]
    pieces = [columns.piece(start, stop, lines) for start, stop in columns.tiles()]
    height = max(1, CHUNK.get(logits.device.type, CHUNK["cuda"]) // (len(logits) * columns.size))
    return torch.cat([_rows(lines, rows, pieces, start, height) for start in range(0, rows.size, height)])


def _rows(lines: Tensor, rows: Operator, pieces: list[tuple[slice, Tensor]], start: int, height: int) -> Tensor:
    read, vertical = rows.piece(start, min(start + height, rows.size), lines)
    narrow = torch.einsum("yn,ncw->ycw", vertical, lines[read])
    return torch.cat([(narrow[..., nodes] @ across.T).max(dim=1).indices for nodes, across in pieces], dim=1)


def _parts(operator: Operator) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    matrix = operator.matrix
    return (matrix.indptr, matrix.indices, matrix.data), operator.bands, operator.band_nodes
