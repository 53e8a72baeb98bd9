"""The target of an image with several labels: the state of every class in it, as the digits of one number.

So a target stays a number as for one class, and the fingerprint of a data set covers each label.
"""

from __future__ import annotations

import numpy as np

from umt.errors import SizeError

ABSENT, PRESENT, DIFFICULT = STATES = range(3)  # difficult: there, but hard to see
MAX_CLASSES = 39  # digits to base three in 63 bits


def encode_states(states: np.ndarray) -> np.ndarray:
    """Return the codes [N] of the states [N, C] of classes; SizeError for more than MAX_CLASSES."""
    codes: np.ndarray = states.astype(np.int64) @ _powers(states.shape[1])
    return codes


def decode_states(codes: np.ndarray, classes: int) -> np.ndarray:
    """Return the states [N, C] that the codes [N] of images hold."""
    return (codes[:, None] // _powers(classes) % len(STATES)).astype(np.int8)


def _powers(classes: int) -> np.ndarray:
    if classes > MAX_CLASSES:
        raise SizeError(f"{classes} classes an image, at most {MAX_CLASSES} fit into a code; take fewer")
    return len(STATES) ** np.arange(classes, dtype=np.int64)
