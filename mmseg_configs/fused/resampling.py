"""Resize, cut and average windows bilinearly as one sparse operator an axis, because these operators compose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from scipy.sparse import csr_matrix
from torch import Tensor

MAX_BAND_PIXELS = 16  # pixels at most: the corners of a smaller block bound it more tightly, and more blocks cost more
TILE_PIXELS = 96  # pixels
MAX_STRAIGHT_DIFFERENCE = 1e-12  # second difference of weights below which three neighbours lie on a line


@dataclass(frozen=True, eq=False)
class Operator:
    """`size` pixels of one axis as convex combinations of `nodes` values: matrix [size, nodes] in float64."""

    matrix: csr_matrix

    @property
    def size(self) -> int:
        return int(self.matrix.shape[0])

    @cached_property
    def bands(self) -> np.ndarray:
        """First and last pixel [n, 2] of runs whose weights are an affine function of the position.

        In a band of rows and one of columns every value is bilinear, thus between those of the four corner pixels.
        """
        bands, first = [], 0
        for bent in [*self._bends(), self.size - 1]:
            if bent > first or bent == self.size - 1:
                pieces = np.array_split(np.arange(first, bent + 1), -(-(bent + 1 - first) // MAX_BAND_PIXELS))
                bands += [(piece[0], piece[-1]) for piece in pieces]
                first = bent + 1
        return np.array(bands)

    @cached_property
    def band_nodes(self) -> np.ndarray:
        """The nodes [n, 2 or more] that the pixels of each band mix; the last node is repeated if a band has fewer.

        Weights that are affine over a band are positive at one of its ends if they are anywhere in it.
        """
        indptr, indices = self.matrix.indptr, self.matrix.indices
        ends = [[indices[indptr[pixel] : indptr[pixel + 1]] for pixel in band] for band in self.bands]
        nodes = [np.unique(np.concatenate(pair)) for pair in ends]
        width = max(2, *(len(row) for row in nodes))
        return np.array([np.pad(row, (0, width - len(row)), mode="edge") for row in nodes], dtype=np.int64)

    def _bends(self) -> list[int]:
        """Find inner pixels whose weights are not the mean of their neighbours' weights."""
        if self.size < 3:
            return []
        bend = (self.matrix[2:] - 2 * self.matrix[1:-1] + self.matrix[:-2]).tocoo()
        bent = np.unique(bend.row[np.abs(bend.data) > MAX_STRAIGHT_DIFFERENCE]) + 1
        return [int(pixel) for pixel in bent]

    def tiles(self) -> list[tuple[int, int]]:
        """Return (start, stop) of pieces of `TILE` pixels: few nodes each, so dense weights are not mostly zeros."""
        return [(start, min(start + TILE_PIXELS, self.size)) for start in range(0, self.size, TILE_PIXELS)]

    def piece(self, start: int, stop: int, reference: Tensor) -> tuple[slice, Tensor]:
        """Return the nodes that pixels start..stop read, and weights [stop - start, nodes], for `reference`."""
        rows = self.matrix[start:stop]
        nodes = slice(int(rows.indices.min()), int(rows.indices.max()) + 1)
        return nodes, torch.from_numpy(rows[:, nodes].toarray()).to(reference)


@lru_cache(maxsize=256)
def resize(nodes: int, size: int, align_corners: bool = False) -> Operator:
    """Return torch's bilinear `interpolate` from `nodes` values to `size` pixels, without antialiasing."""
    return Operator(_resize(nodes, size, align_corners))


@lru_cache(maxsize=256)
def evaluation(
    nodes: int, window: int, starts: tuple[int, ...], visible: tuple[int, int], size: int, align_corners: bool = False
) -> Operator:
    """Compose mmseg's steps: resize logits to their window, average over windows, cut to `visible`, resize to `size`.

    nodes: of one window; those of the following windows are appended.
    """
    up = _resize(nodes, window, align_corners).tocoo()
    rows = np.concatenate([up.row + start for start in starts])
    columns = np.concatenate([up.col + index * nodes for index in range(len(starts))])
    shape = (starts[-1] + window, nodes * len(starts))
    summed = csr_matrix((np.tile(up.data, len(starts)), (rows, columns)), shape=shape)
    cut = summed[visible[0] : visible[1]]
    windows = np.asarray(cut.sum(axis=1)).ravel()  # over each pixel: every window's weights sum to 1
    cut.data /= np.repeat(windows, np.diff(cut.indptr))
    return Operator((_resize(visible[1] - visible[0], size, align_corners) @ cut).tocsr())


def window_starts(window: int, stride: int, size: int) -> tuple[int, ...]:
    """Return the first pixels of mmseg's windows: every `stride` pixels; the last window ends with the image."""
    count = max(size - window + stride - 1, 0) // stride + 1
    return tuple(max(min(index * stride + window, size) - window, 0) for index in range(count))


def _resize(nodes: int, size: int, align_corners: bool) -> csr_matrix:
    pixels = np.arange(size)
    if align_corners:
        position = pixels * ((nodes - 1) / max(size - 1, 1))
    else:
        position = np.maximum((pixels + 0.5) * (nodes / size) - 0.5, 0)
    first = np.minimum(position.astype(np.int64), nodes - 1)
    second, share = np.minimum(first + 1, nodes - 1), position - first
    entries = np.concatenate([1 - share, share]), (np.tile(pixels, 2), np.concatenate([first, second]))
    matrix = csr_matrix(entries, shape=(size, nodes))
    matrix.eliminate_zeros()
    return matrix
