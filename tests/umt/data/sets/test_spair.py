"""The layout of SPair-71k."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umt.data.checks.items import validate
from umt.data.contract import Dataset
from umt.data.sets.spair import CLASSES, INFO, write_mini
from umt.errors import UMTError


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("spair")
    write_mini(root, (2, 2, 2))
    return root


@pytest.fixture
def root(official: Path, tmp_path: Path) -> Path:
    """A copy to damage; images are links to the first one."""
    for path in official.rglob("*"):
        copy = tmp_path / path.relative_to(official)
        if path.is_dir():
            copy.mkdir(exist_ok=True)
        else:
            copy.write_bytes(path.read_bytes())
    return tmp_path


def test_pairs_are_what_the_images_say(official: Path) -> None:
    dataset = Dataset(INFO, official)
    validate(dataset)
    assert dataset.sizes == {"trn": 6, "val": 6, "test": 6}
    assert INFO.pair
    assert sum(INFO.splits.values()) == 70_958
    for sample in dataset.reported_samples:
        pair = INFO.pair(sample)
        assert pair.images[0] == sample.image
        assert pair.name in {path.stem for path in (official / "PairAnnotation/test").iterdir()}
        for index, image in enumerate(pair.images):
            annotation = json.loads((official / f"ImageAnnotation/{pair.category}/{image.stem}.json").read_text())
            visible = [point for point in annotation["kps"].values() if point]
            assert all(point in visible for point in pair.points[index].tolist())
            assert Image.open(image).size == pair.sizes[index]
        mask = np.asarray(Image.open(official / f"Segmentation/{pair.category}/{pair.images[1].stem}.png")) > 0
        columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
        assert pair.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


def first(root: Path, pattern: str) -> Path:
    return next(iter(sorted(root.glob(pattern))))


def edit(root: Path, **fields: object) -> None:
    path = next(path for path in sorted((root / "PairAnnotation/test").iterdir()))
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: first(root, "PairAnnotation/test/*").unlink(), "pair is listed in .* but missing"),
        (lambda root: first(root, "JPEGImages/bus/*").unlink(), "image is listed in .* but missing"),
        (
            lambda root: (root / "Layout/large/test.txt").write_text("1-../x-b:bus\n"),
            "is no pair, NUMBER-SOURCE-TARGET",
        ),
        (lambda root: (root / "Layout/large/test.txt").write_text("1-a-b:tree\n"), "is no pair"),
        (lambda root: (root / "Layout/large/test.txt").unlink(), "file of the data set is missing"),
        (lambda root: edit(root, src_kps=[[1, 2]]), "keypoints or box of the pair are none"),
        (lambda root: edit(root, trg_bndbox=[5, 5, 5, 9]), "keypoints or box of the pair are none"),
        (lambda root: edit(root, trg_kps="here"), "no annotation of a pair"),
        (lambda root: edit(root, viewpoint_variation=None), "no annotation of a pair"),
        (lambda root: first(root, "PairAnnotation/test/*").write_text("{"), "not an annotation of a pair"),
    ],
)
def test_what_is_wrong_is_named(root: Path, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    spoil(root)
    with pytest.raises(UMTError, match=message):
        validate(Dataset(INFO, root))


def test_classes_are_those_of_the_authors() -> None:
    assert len(CLASSES) == 18
    assert list(CLASSES) == sorted(CLASSES)
