"""Nearest patches by cosine similarity: exact in blocks, or through an index of FAISS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.tasks.knn import Neighbours
from umt.errors import DeclarationError, PackageError, first_line

QUERY_ROWS, MEMORY_ROWS = 2048, 16_384  # patches at a time: 128 MiB of similarities

Search = Callable[[Tensor], tuple[np.ndarray, np.ndarray]]  # of unit queries: similarities and rows [Q, k]


def exact_search(memory: np.ndarray, k: int, device: torch.device) -> Search:
    """Return the search that compares each query with all of the memory [M, C] of unit features."""
    k = min(k, len(memory))

    def nearest(queries: Tensor) -> Neighbours:
        neighbours = Neighbours.none(len(queries), device)
        for start in range(0, len(memory), MEMORY_ROWS):
            block = torch.from_numpy(memory[start : start + MEMORY_ROWS]).to(device)
            rows = torch.arange(start, start + len(block), device=device)
            neighbours = neighbours.joined(queries @ block.T, rows, k)
        return neighbours

    def search(queries: Tensor) -> tuple[np.ndarray, np.ndarray]:
        parts = [nearest(chunk.to(device)) for chunk in queries.split(QUERY_ROWS)]
        return (
            torch.cat([part.similarities for part in parts]).cpu().numpy(),
            torch.cat([part.classes for part in parts]).cpu().numpy(),
        )

    return search


def faiss_search(memory: np.ndarray, k: int, factory: str) -> Search:
    """Return the search through the index that a factory string of FAISS names, trained on the memory.

    Raises UMTError if FAISS is not installed, or knows no such index.
    """
    try:
        import faiss
    except ImportError as error:
        raise PackageError(f"search '{factory}' needs FAISS; pip install faiss-cpu, or take search: exact") from error
    try:
        index = faiss.index_factory(memory.shape[1], factory, faiss.METRIC_INNER_PRODUCT)
        index.train(memory)
        index.add(memory)
    except RuntimeError as error:
        raise DeclarationError(f"search '{factory}' is no index of FAISS ({first_line(error)})") from error
    return lambda queries: index.search(queries.numpy(), min(k, len(memory)))
