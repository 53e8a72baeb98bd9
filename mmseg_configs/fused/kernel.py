"""The compiled loops of the fused evaluation (numba): the class map block by block, and its counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

FASTMATH = {"nnan", "nsz", "contract"}  # the logits are checked to be finite
LANES = 32  # a reduction to one number is not vectorised, one to so many is


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function; in every process anew if neither the package nor HOME can hold its machine code."""
    try:
        return njit(cache=True, fastmath=FASTMATH, nogil=True)(function)
    except RuntimeError:
        return njit(fastmath=FASTMATH, nogil=True)(function)


@compiled
def class_map(logits: Any, rows: Any, columns: Any, classes: Any) -> None:
    """Write into `classes` [H, W] the first class with the largest value of rows @ logits @ columns'.

    logits [h, w, C]. rows and columns are (matrix, bands, nodes) of an operator, the matrix being the (indptr, indices,
    data) of [H, h] and [W, w]. In a block, which is a band of rows by one of columns, values are bilinear: its nodes
    bound them, so that few classes can win, and these are compared pixel by pixel.
    """
    width, count = logits.shape[1:]
    (row_matrix, row_bands, row_nodes), (column_matrix, column_bands, column_nodes) = rows, columns
    bounds, edges = np.empty((2, width, count), logits.dtype), np.empty((2, width, count))
    lanes = np.empty((3, max(count, LANES)), logits.dtype)
    candidates, surface = np.empty(count + 1, np.int64), np.empty((4, count))
    pixels = _longest_band(row_bands) * _longest_band(column_bands)
    shares, best, winners = np.empty((3, pixels)), np.empty(pixels), np.empty(pixels, np.int64)
    shape = (0, 0)
    for row in range(len(row_bands)):
        y0, y1 = row_bands[row]
        _bound_rows(logits, row_nodes[row], bounds)
        _mix_rows(logits, row_matrix, y0, edges[0])
        _mix_rows(logits, row_matrix, y1, edges[1])
        for column in range(len(column_bands)):
            x0, x1 = column_bands[column]
            number = _possible(bounds, column_nodes[column], lanes, candidates)
            block = classes[y0 : y1 + 1, x0 : x1 + 1]
            if number == 1:
                _fill(block, candidates[0])
                continue
            if shape != block.shape:
                shape = block.shape
                _share(shape, shares)
            _mix_corners(edges, column_matrix, (x0, x1), candidates[:number], surface)
            number = _prune(surface, candidates, number)
            _compare(surface, candidates[:number], shares, (best, winners), block)


@compiled
def _longest_band(bands: Any) -> int:
    longest_band = 0
    for index in range(len(bands)):
        longest_band = max(longest_band, bands[index, 1] - bands[index, 0] + 1)
    return longest_band


@compiled
def _fill(block: Any, value: int) -> None:
    for y in range(block.shape[0]):
        for x in range(block.shape[1]):
            block[y, x] = value


@compiled
def _bound_rows(logits: Any, nodes: Any, bounds: Any) -> None:
    """Compute the lowest and the highest value among rows of nodes, for each column and class."""
    lowest, highest = bounds[0].ravel(), bounds[1].ravel()
    upper, lower = logits[nodes[0]].ravel(), logits[nodes[1]].ravel()
    for index in range(len(upper)):
        lowest[index] = min(upper[index], lower[index])
        highest[index] = max(upper[index], lower[index])
    for node in nodes[2:]:
        line = logits[node].ravel()
        for index in range(len(line)):
            lowest[index] = min(lowest[index], line[index])
            highest[index] = max(highest[index], line[index])


@compiled
def _mix_rows(logits: Any, rows: Any, pixel: int, into: Any) -> None:
    indptr, indices, data = rows
    flat = into.ravel()
    first, last = indptr[pixel], indptr[pixel + 1] - 1
    upper, lower, a, b = logits[indices[first]].ravel(), logits[indices[last]].ravel(), data[first], data[last]
    if first == last:
        b = 0.0
    for index in range(len(flat)):
        flat[index] = a * upper[index] + b * lower[index]
    for entry in range(first + 1, last):
        line, weight = logits[indices[entry]].ravel(), data[entry]
        for index in range(len(flat)):
            flat[index] += weight * line[index]


@compiled
def _possible(bounds: Any, nodes: Any, lanes: Any, candidates: Any) -> int:
    """Write, in order, the classes whose highest node is not below any other's lowest node; return their number."""
    count = bounds.shape[2]
    lowest, highest, maxima = lanes[0, :count], lanes[1, :count], lanes[2, :LANES]
    left, right = nodes[0], nodes[1]
    for c in range(count):
        lowest[c] = min(bounds[0, left, c], bounds[0, right, c])
        highest[c] = max(bounds[1, left, c], bounds[1, right, c])
    for node in nodes[2:]:
        for c in range(count):
            lowest[c] = min(lowest[c], bounds[0, node, c])
            highest[c] = max(highest[c], bounds[1, node, c])
    floor = _maximum(lowest, maxima)
    number, last = 0, 0
    for c in range(count):
        if highest[c] >= floor:
            number += 1
            last += c
    if number == 1:
        candidates[0] = last
        return 1
    number = 0
    for c in range(count):
        candidates[number] = c
        number += highest[c] >= floor
    return number


@compiled
def _maximum(values: Any, maxima: Any) -> float:
    maxima[:] = values[0]
    full_lanes = len(values) // LANES * LANES
    for start in range(0, full_lanes, LANES):
        for lane in range(LANES):
            maxima[lane] = max(maxima[lane], values[start + lane])
    for index in range(full_lanes, len(values)):
        maxima[0] = max(maxima[0], values[index])
    for lane in range(LANES):
        maxima[0] = max(maxima[0], maxima[lane])
    return maxima[0]


@compiled
def _mix_corners(edges: Any, columns: Any, ends: Any, candidates: Any, surface: Any) -> None:
    """Compute the values of each class in `candidates` at the four corner pixels of the block."""
    indptr, indices, data = columns
    surface[:, : len(candidates)] = 0.0
    for edge in range(2):
        for side in range(2):
            corner, pixel = surface[2 * edge + side], ends[side]
            for entry in range(indptr[pixel], indptr[pixel + 1]):
                line, weight = edges[edge, indices[entry]], data[entry]
                for index in range(len(candidates)):
                    corner[index] += weight * line[candidates[index]]


@compiled
def _prune(surface: Any, candidates: Any, number: int) -> int:
    """Keep the classes that no other class exceeds at all corners, and return their number.

    The surface of each becomes its value at the first corner and its growth across, down, and both, over the block.
    """
    floor = -np.inf
    for index in range(number):
        corners = surface[0, index], surface[1, index], surface[2, index], surface[3, index]
        floor = max(floor, min(min(corners[0], corners[1]), min(corners[2], corners[3])))
    survivors = 0
    for index in range(number):
        start, right, below, opposite = surface[0, index], surface[1, index], surface[2, index], surface[3, index]
        if max(max(start, right), max(below, opposite)) >= floor:
            candidates[survivors] = candidates[index]
            surface[0, survivors], surface[1, survivors], surface[2, survivors] = start, right - start, below - start
            surface[3, survivors] = opposite - below - right + start
            survivors += 1
    return survivors


@compiled
def _share(shape: Any, shares: Any) -> None:
    """Compute the position of each pixel of a block between its corners: right, down, and their product."""
    pixel = 0
    for y in range(shape[0]):
        for x in range(shape[1]):
            across, down = x / max(shape[1] - 1, 1), y / max(shape[0] - 1, 1)
            shares[0, pixel], shares[1, pixel], shares[2, pixel] = across, down, across * down
            pixel += 1


@compiled
def _compare(surface: Any, candidates: Any, shares: Any, work: Any, block: Any) -> None:
    """Write the first class in `candidates` with the largest value, for each pixel of a block."""
    best, winners = work
    size = block.shape[0] * block.shape[1]
    best[:size] = -np.inf
    for index in range(len(candidates)):
        start, right, below, mixed = surface[0, index], surface[1, index], surface[2, index], surface[3, index]
        c = candidates[index]
        for pixel in range(size):
            value = start + shares[0, pixel] * right + shares[1, pixel] * below + shares[2, pixel] * mixed
            better = value > best[pixel]
            best[pixel] = value if better else best[pixel]
            winners[pixel] = c if better else winners[pixel]
    block[:, :] = winners[:size].reshape(block.shape)


@compiled
def count(predicted: Any, truth: Any, ignore_index: int, areas: Any) -> None:
    """Add to `areas` int64 [3, C] the pixels of the intersection, the prediction and the truth of each class.

    Runs of equal pixels are added at once; values outside of 0..C - 1 are not counted.
    """
    classes = areas.shape[1]
    start = 0
    for pixel in range(1, len(truth) + 1):
        if pixel < len(truth) and truth[pixel] == truth[start] and predicted[pixel] == predicted[start]:
            continue
        label, guess, run = truth[start], predicted[start], pixel - start
        start = pixel
        if label == ignore_index:
            continue
        if label == guess and 0 <= label < classes:
            areas[0, label] += run
        if 0 <= guess < classes:
            areas[1, guess] += run
        if 0 <= label < classes:
            areas[2, label] += run
