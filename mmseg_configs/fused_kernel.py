"""The compiled loops of the fused evaluation (numba): the class map block by block, and its counts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

compiled = njit(cache=True, fastmath={"nnan", "nsz", "contract"}, nogil=True)  # the logits are checked to be finite
DEPTH = 64  # halvings of a block, at most
BRUTE = 256


@compiled
def class_map(logits: Any, rows: Any, row_bands: Any, columns: Any, column_bands: Any, classes: Any) -> None:
    """Into `classes` [H, W]: the first class with the largest value of rows @ logits @ columns'.

    logits [h, w, C]; rows and columns are (indptr, indices, data) of sparse matrices [H, h] and [W, w], and their
    bands [n, 2] are runs in which values are bilinear: those of four corner pixels bound all others.
    """
    count = logits.shape[2]
    top, bottom = np.empty((logits.shape[1], count)), np.empty((logits.shape[1], count))
    corners, highest = np.empty((4, count)), np.empty(count)
    candidates = np.empty((DEPTH, count), np.int64)
    work = np.empty((2 * DEPTH, 6), np.int64), np.empty((4, count)), np.empty(classes.shape[1])
    for row in range(len(row_bands)):
        y0, y1 = row_bands[row]
        _mix_rows(logits, rows, y0, top)
        _mix_rows(logits, rows, y1, bottom)
        for column in range(len(column_bands)):
            x0, x1 = column_bands[column]
            _mix(top, columns, x0, corners[0])
            _mix(top, columns, x1, corners[1])
            _mix(bottom, columns, x0, corners[2])
            _mix(bottom, columns, x1, corners[3])
            number = _possible(corners, highest, candidates[0])
            if number == 1:
                _fill(classes, y0, y1, x0, x1, candidates[0, 0])
            else:
                _divide(corners, (y0, y1, x0, x1), candidates, number, classes, work)


@compiled
def _fill(classes: Any, y0: int, y1: int, x0: int, x1: int, value: int) -> None:
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            classes[y, x] = value


@compiled
def _mix_rows(logits: Any, rows: Any, pixel: int, into: Any) -> None:
    indptr, indices, data = rows
    into[:] = 0.0
    for entry in range(indptr[pixel], indptr[pixel + 1]):
        line, weight = logits[indices[entry]], data[entry]
        for node in range(into.shape[0]):
            for c in range(into.shape[1]):
                into[node, c] += weight * line[node, c]


@compiled
def _mix(line: Any, columns: Any, pixel: int, into: Any) -> None:
    indptr, indices, data = columns
    first, last = indptr[pixel], indptr[pixel + 1] - 1
    left, right, a, b = line[indices[first]], line[indices[last]], data[first], data[last]
    if first == last:
        b = 0.0
    for c in range(into.shape[0]):
        into[c] = a * left[c] + b * right[c]
    for entry in range(first + 1, last):
        middle, weight = line[indices[entry]], data[entry]
        for c in range(into.shape[0]):
            into[c] += weight * middle[c]


@compiled
def _possible(corners: Any, highest: Any, found: Any) -> int:
    """Writes the classes that no other one beats at all four corners, in order, and returns their number."""
    floor = -np.inf
    for c in range(highest.shape[0]):
        lowest = min(min(corners[0, c], corners[1, c]), min(corners[2, c], corners[3, c]))
        highest[c] = max(max(corners[0, c], corners[1, c]), max(corners[2, c], corners[3, c]))
        floor = max(floor, lowest)
    number, last = 0, 0
    for c in range(highest.shape[0]):
        if highest[c] >= floor:
            number += 1
            last += c
    if number == 1:
        found[0] = last
        return 1
    number = 0
    for c in range(highest.shape[0]):
        if highest[c] >= floor:
            found[number] = c
            number += 1
    return number


@compiled
def _divide(corners: Any, whole: Any, candidates: Any, number: int, classes: Any, work: Any) -> None:
    """Fills the bilinear block `whole`, of the given corner values, by halves: the fewer pixels, the fewer candidates.

    candidates: a list of classes for each depth of halving; the first has `number` of them.
    """
    stack, values, best = work
    stack[0] = (whole[0], whole[1], whole[2], whole[3], 0, number)
    waiting = 1
    while waiting:
        waiting -= 1
        y0, y1, x0, x1, depth, number = stack[waiting]
        block = (y0, y1, x0, x1)
        if number * (y1 - y0 + 1) * (x1 - x0 + 1) <= BRUTE or (y0 == y1 and x0 == x1):
            _compare(corners, whole, block, candidates[depth], number, classes, best)
            continue
        winner, number = _prune(corners, whole, block, candidates[depth], number, candidates[depth + 1], values)
        if winner >= 0:
            _fill(classes, y0, y1, x0, x1, winner)
        elif y1 - y0 > x1 - x0:
            middle = (y0 + y1) // 2
            stack[waiting] = (middle + 1, y1, x0, x1, depth + 1, number)
            stack[waiting + 1] = (y0, middle, x0, x1, depth + 1, number)
            waiting += 2
        else:
            middle = (x0 + x1) // 2
            stack[waiting] = (y0, y1, middle + 1, x1, depth + 1, number)
            stack[waiting + 1] = (y0, y1, x0, middle, depth + 1, number)
            waiting += 2


@compiled
def _share(pixel: int, first: int, last: int) -> float:
    return (pixel - first) / max(last - first, 1)


@compiled
def _prune(
    corners: Any, whole: Any, block: Any, candidates: Any, number: int, found: Any, values: Any
) -> tuple[int, int]:
    """The class that wins at all four corners of `block`, and so in it, or -1; and how many can win, in `found`."""
    top, bottom = _share(block[0], whole[0], whole[1]), _share(block[1], whole[0], whole[1])
    left, right = _share(block[2], whole[2], whole[3]), _share(block[3], whole[2], whole[3])
    floor, largest = -np.inf, (-np.inf, -np.inf, -np.inf, -np.inf)
    for index in range(number):
        c = candidates[index]
        a, b = corners[0, c], corners[1, c]
        down, across = corners[2, c] - a, corners[3, c] - b
        start, step = a + top * down, b + top * across - a - top * down
        p, q = start + left * step, start + right * step
        start, step = a + bottom * down, b + bottom * across - a - bottom * down
        r, s = start + left * step, start + right * step
        values[0, index], values[1, index], values[2, index], values[3, index] = p, q, r, s
        largest = max(largest[0], p), max(largest[1], q), max(largest[2], r), max(largest[3], s)
        floor = max(floor, min(min(p, q), min(r, s)))
    winner = _winner(values, number, largest)
    if winner >= 0:
        return candidates[winner], 1
    left_over = 0
    for index in range(number):
        upper = max(max(values[0, index], values[1, index]), max(values[2, index], values[3, index]))
        if upper >= floor:
            found[left_over] = candidates[index]
            left_over += 1
    return -1, left_over


@compiled
def _winner(values: Any, number: int, largest: Any) -> int:
    """The first index that attains all four largest values, unless an earlier one attains one of them; else -1."""
    for index in range(number):
        hits = 0
        for corner in range(4):
            hits += values[corner, index] == largest[corner]
        if hits:
            return index if hits == 4 else -1
    return -1


@compiled
def _compare(corners: Any, whole: Any, block: Any, candidates: Any, number: int, classes: Any, best: Any) -> None:
    y0, y1, x0, x1 = block
    span = max(whole[3] - whole[2], 1)
    for y in range(y0, y1 + 1):
        down = _share(y, whole[0], whole[1])
        line = classes[y]
        for x in range(x0, x1 + 1):
            best[x] = -np.inf
        for index in range(number):
            c = candidates[index]
            start = corners[0, c] + down * (corners[2, c] - corners[0, c])
            step = (corners[1, c] + down * (corners[3, c] - corners[1, c]) - start) / span
            for x in range(x0, x1 + 1):
                value = start + step * (x - whole[2])
                better = value > best[x]
                best[x] = value if better else best[x]
                line[x] = c if better else line[x]


@compiled
def count(predicted: Any, truth: Any, ignore_index: int, areas: Any) -> None:
    """Adds to `areas` int64 [3, C] the pixels of the intersection, the prediction and the truth of each class.

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
