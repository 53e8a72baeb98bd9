"""The layout of Revisiting Oxford and Paris: lists, a ground truth in a pickle that runs no code, and archives."""

from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.progress import Progress

from umt.data.checks.items import validate
from umt.data.prepare import prepare
from umt.data.registry import find_dataset
from umt.data.sets.landmarks import ground_truth
from umt.errors import UMTError

GND: dict[str, Any] = {"bbx": [1.5, 2.0, 30.0, 31.0], "easy": [0], "hard": [2, 1], "junk": []}
CONTENT: dict[str, Any] = {"imlist": ["a", "b", "c"], "qimlist": ["q"], "gnd": [GND]}
NAME = "roxford5k"


class Runs:
    """A value whose pickle would call a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("ran"),)


@pytest.fixture
def root(tmp_path: Path, make_image: Callable[..., Path]) -> Path:
    for name in ("a", "b", "c", "q"):
        make_image(tmp_path / NAME / "jpg" / f"{name}.jpg")
    return tmp_path / NAME


def with_arrays(protocol: int) -> bytes:
    judgement = {name: np.array(values, dtype=None if values else int) for name, values in GND.items()}
    return pickle.dumps({**CONTENT, "gnd": [judgement]}, protocol=protocol)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".pkl", pickle.dumps(CONTENT, protocol=2)),
        (".pkl", with_arrays(2)),
        (".pkl", with_arrays(4)),
        (".pkl", pickle.dumps({**CONTENT, "gnd": [{**GND, "easy": [np.int64(0)], "other": {1}}]}, protocol=4)),
        (".json", json.dumps(CONTENT).encode()),
    ],
)
def test_lists_and_judgements_are_read(root: Path, suffix: str, content: bytes) -> None:
    (root / f"gnd_{NAME}{suffix}").write_bytes(content)
    dataset = find_dataset(NAME, root.parent)
    assert [sample.image.name for sample in dataset.samples("gallery")] == ["a.jpg", "b.jpg", "c.jpg"]
    [query] = dataset.reported_samples
    assert (query.image.name, query.target, query.box) == ("q.jpg", root / f"gnd_{NAME}{suffix}", (1.5, 2, 30, 31))
    [judgement] = ground_truth(NAME, root)[1].gnd
    assert (judgement.easy, judgement.hard, judgement.junk) == ((0,), (2, 1), ())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"gnd_roxford5k\.pkl: file of the data set is missing"),
        (b"no pickle", "not a ground truth"),
        (pickle.dumps([1]), "field 'imlist' is missing|field 'bbx' is missing"),
        (pickle.dumps({**CONTENT, "gnd": [{**GND, "bbx": [1, 2]}]}), "field 'bbx' is .*expected 4 values"),
        (pickle.dumps({**CONTENT, "gnd": [{**GND, "hard": [3]}]}), r"query 'q' names image 3, expected 0\.\.2"),
        (pickle.dumps({**CONTENT, "gnd": [{**GND, "hard": [-1]}]}), r"query 'q' names image -1, expected 0\.\.2"),
        (pickle.dumps({**CONTENT, "qimlist": ["q", "a"]}), "1 judgements of 2 queries"),
        (pickle.dumps({**CONTENT, "imlist": ["../jpg/a", "b", "c"]}), "is no path below"),
        (pickle.dumps({**CONTENT, "imlist": ["a", "b", "d"]}), r"d\.jpg: image is listed in .* but missing"),
        (pickle.dumps({**CONTENT, "imlist": ["a", "b", "a"]}), r"'a\.jpg' comes twice"),
    ],
)
def test_a_wrong_ground_truth_is_named(root: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (root / f"gnd_{NAME}.pkl").write_bytes(content)
    with pytest.raises(UMTError, match=message):
        find_dataset(NAME, root.parent).samples("gallery")


@pytest.mark.parametrize("place", ["imlist", "gnd", "extra"])
def test_no_code_of_a_ground_truth_runs(root: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    (root / f"gnd_{NAME}.pkl").write_bytes(pickle.dumps({**CONTENT, place: Runs()}))
    wrong = pytest.raises(UMTError, match=rf"gnd_{NAME}\.pkl") if place != "extra" else nullcontext()
    with wrong:
        find_dataset(NAME, root.parent).samples("gallery")
    assert not (root / "ran").exists()


def test_a_box_outside_its_image_is_named_before_anything_is_computed(root: Path) -> None:
    (root / f"gnd_{NAME}.json").write_text(json.dumps({**CONTENT, "gnd": [{**GND, "bbx": [9000, 0, 9100, 50]}]}))
    with pytest.raises(UMTError, match=r"q\.jpg: image cannot be decoded \(nothing of it lies in the box 9000"):
        validate(find_dataset(NAME, root.parent))


def test_images_of_folders_in_archives_lie_together(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "archives"
    source.mkdir()
    for number, names in ((1, "ab"), (2, "cq")):
        with tarfile.open(source / f"paris_{number}-v1.tgz", "w:gz") as archive:
            for name in names:
                archive.add(root / "jpg" / f"{name}.jpg", f"paris/{name}/{name}.jpg")
    (source / "gnd_rparis6k.pkl").write_bytes(pickle.dumps(CONTENT))
    prepare("rparis6k", tmp_path / "out", source, Progress(disable=True))
    assert len(find_dataset("rparis6k", tmp_path / "out").samples("gallery")) == 3
