"""Crops of photographs in the layout of Revisiting Oxford and Paris: a photograph is a landmark."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from umt.data.mini.crops import TEST, TRAIN, Cutter, save
from umt.data.mini.photos import NAMES

FRAME = 96  # pixels of a query
BOX = (16.0, 16.0, 80.0, 80.0)  # the part of it that is looked for
FAR, NEAR = 128, 48  # pixels of the photograph that a hard view and a junk one show
DISTRACTORS = 4  # photographs that no query looks for


def write_landmarks(name: str, seed: int, folder: Path, landmarks: int, views: int) -> None:
    """Write a query for each landmark, and views of it: easy ones beside it, hard ones from afar, junk of details."""
    (folder / "jpg").mkdir()
    images, queries, judgements = list[str](), list[str](), list[dict[str, list[int] | list[float]]]()

    def add(photograph: str, kind: str, crops: Sequence[Image.Image], listed: list[str]) -> list[int]:
        first = len(listed)
        listed += [f"{photograph}_{kind}_{index}" for index in range(len(crops))]
        for image, crop in zip(listed[first:], crops, strict=True):
            save(crop, folder / "jpg" / f"{image}.jpg")
        return list(range(first, len(listed)))

    start = seed % len(NAMES)
    photographs = [NAMES[(start + index) % len(NAMES)] for index in range(landmarks + DISTRACTORS)]
    for photograph in photographs[:landmarks]:
        add(photograph, "query", Cutter(FRAME, FRAME, seed).cut(photograph, TRAIN, 1), queries)
        easy = add(photograph, "easy", Cutter(FRAME, FRAME, seed + 1).cut(photograph, TRAIN, views), images)
        hard = add(photograph, "hard", Cutter(FAR, FRAME, seed).cut(photograph, TEST, views), images)
        junk = add(photograph, "junk", Cutter(NEAR, FRAME, seed).cut(photograph, TEST, views), images)
        judgements.append({"bbx": list(BOX), "easy": easy, "hard": hard, "junk": junk})
    for photograph in photographs[landmarks:]:
        add(photograph, "other", Cutter(FRAME, FRAME, seed).cut(photograph, TRAIN, 2 * views), images)
    content = {"imlist": images, "qimlist": queries, "gnd": judgements}
    (folder / f"gnd_{name}.pkl").write_bytes(pickle.dumps(content, protocol=4))
