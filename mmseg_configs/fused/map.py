"""The class map of resized logits without the resized logits; compiled if numba is installed."""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mmseg_configs.fused.resampling import Operator, resize
from umt.errors import first_line

log = logging.getLogger(__name__)
NO_CLASS = -1  # of every pixel of an image whose logits are not finite
CHUNK_LOGITS = {"cpu": 2**20, "cuda": 2**25}  # resized logits held at one time


@cache
def kernel() -> ModuleType | None:
    """Return the compiled loops, or None without numba; if a small map fails, a line in the log says why."""
    if not find_spec("numba"):
        return None
    try:
        loops = import_module("mmseg_configs.fused.kernel")
        _try(loops)
        return loops
    except Exception as error:  # an accelerator may raise anything, and plain torch gives the same maps
        log.warning("numba is not used (%s); class maps are computed in plain torch, more slowly", first_line(error))
        return None


def warm_up(device: torch.device) -> None:
    """Compile the loops, which run on a CPU only, so that their failure is known before any training."""
    if device.type == "cpu":
        kernel()


def class_map(logits: Tensor, rows: Operator, columns: Operator) -> Tensor:
    """Return int64 [H, W]: the first class with the largest value of rows @ logits @ columns', in float64.

    logits: [C, h, w]; rows: [H, h]; columns: [W, w]. Without a wait for a GPU, logits that are not finite are NO_CLASS.
    """
    compiled, finite = kernel() if logits.device.type == "cpu" else None, logits.sum().isfinite()
    if compiled is None:
        return chunked_class_map(logits, rows, columns).where(finite, NO_CLASS)
    if not finite:
        return torch.full((rows.size, columns.size), NO_CLASS)
    return _compiled_class_map(compiled, logits, rows, columns)


def _try(loops: ModuleType) -> None:
    """Compile all loops on a small map; RuntimeError if the map or its counts are wrong."""
    logits, operator = torch.tensor([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]]), resize(2, 4)
    expected = chunked_class_map(logits, operator, operator)
    class_ids = _compiled_class_map(loops, logits, operator, operator)
    areas = np.zeros((3, 2), np.int64)
    loops.count(class_ids.flatten().numpy(), expected.flatten().numpy(), 255, areas)
    if not torch.equal(class_ids, expected) or areas.sum() != 3 * expected.numel():
        raise RuntimeError("it computes wrong maps on this machine")


def _compiled_class_map(loops: ModuleType, logits: Tensor, rows: Operator, columns: Operator) -> Tensor:
    classes = np.empty((rows.size, columns.size), np.int64)
    values = logits.flatten(1).T.contiguous().view(*logits.shape[1:], -1).numpy()  # 2-D: torch then copies by blocks
    loops.class_map(values, _parts(rows), _parts(columns), classes)
    return torch.from_numpy(classes)


def chunked_class_map(logits: Tensor, rows: Operator, columns: Operator) -> Tensor:
    """Compute `class_map` in plain torch on any device, some rows at a time."""
    lines = logits.double().permute(1, 0, 2).contiguous()  # [h, C, w]
    pieces = [columns.piece(start, stop, lines) for start, stop in columns.tiles()]
    height = max(1, CHUNK_LOGITS.get(logits.device.type, CHUNK_LOGITS["cuda"]) // (len(logits) * columns.size))
    return torch.cat([_rows(lines, rows, pieces, start, height) for start in range(0, rows.size, height)])


def _rows(lines: Tensor, rows: Operator, pieces: list[tuple[slice, Tensor]], start: int, height: int) -> Tensor:
    read, vertical = rows.piece(start, min(start + height, rows.size), lines)
    narrow = torch.einsum("yn,ncw->ycw", vertical, lines[read])
    return torch.cat([(narrow[..., nodes] @ across.T).max(dim=1).indices for nodes, across in pieces], dim=1)


def _parts(operator: Operator) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray, np.ndarray]:
    matrix = operator.matrix
    return (matrix.indptr, matrix.indices, matrix.data), operator.bands, operator.band_nodes
