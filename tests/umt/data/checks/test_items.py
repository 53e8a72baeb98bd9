"""The pre-flight: every kind of damage gives one line that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from umt.data.checks.items import check_annotation, check_depth, check_image, validate
from umt.data.contract import Dataset, DatasetInfo, Roles, Sample
from umt.data.targets.labels import Labels
from umt.errors import UMTError

Maker = Callable[..., Path]
LABELS = Labels.after_zero(150)


def save(path: Path, values: np.ndarray) -> Path:
    Image.fromarray(values).save(path)
    return path


def test_a_truncated_image_is_named(tmp_path: Path, make_image: Maker) -> None:
    path = make_image(tmp_path / "a.png", (64, 48))
    assert check_image(path) == (64, 48)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UMTError, match=r"a\.png: image cannot be decoded \(.+\); copy it again"):
        check_image(path)


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<html>404</html>"])
def test_what_is_no_image_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(UMTError, match=r"a\.jpg: image cannot be decoded"):
        check_image(tmp_path / "a.jpg")


def test_annotations_fit_or_are_named(tmp_path: Path, make_image: Maker) -> None:
    image = make_image(tmp_path / "a.jpg", (12, 8))
    labels = np.full((8, 12), 150, dtype=np.uint8)
    check_annotation(image, save(tmp_path / "good.png", labels), LABELS)
    with pytest.raises(UMTError, match=r"high\.png: label 151, expected one channel of labels 0..150"):
        check_annotation(image, save(tmp_path / "high.png", labels + 1), LABELS)
    with pytest.raises(UMTError, match=r"turned\.png: 8x12 pixels, its image a\.jpg has 12x8"):
        check_annotation(image, save(tmp_path / "turned.png", labels.T.copy()), LABELS)
    with pytest.raises(UMTError, match=r"rgb\.png: 3 channels, expected one"):
        check_annotation(image, save(tmp_path / "rgb.png", np.zeros((8, 12, 3), dtype=np.uint8)), LABELS)


def test_depth_fits_or_is_named(tmp_path: Path, make_image: Maker) -> None:
    image = make_image(tmp_path / "a.jpg", (12, 8))
    check_depth(image, save(tmp_path / "good.png", np.full((8, 12), 2000, dtype=np.uint16)))
    with pytest.raises(UMTError, match=r"byte\.png: 8-bit, expected a 16-bit grey PNG"):
        check_depth(image, save(tmp_path / "byte.png", np.ones((8, 12), dtype=np.uint8)))
    with pytest.raises(UMTError, match=r"holes\.png: no valid depth"):
        check_depth(image, save(tmp_path / "holes.png", np.zeros((8, 12), dtype=np.uint16)))


@pytest.mark.parametrize("values", [15_000, 300])
def test_depth_in_another_unit_is_named(tmp_path: Path, make_image: Maker, values: int) -> None:
    """Three metres in 1/5000 m, and in centimetres."""
    image = make_image(tmp_path / "a.jpg", (12, 8))
    check_depth(image, save(tmp_path / "mm.png", np.full((8, 12), 3000, dtype=np.uint16)), (0.5, 10.0))
    depth = save(tmp_path / "d.png", np.full((8, 12), values, dtype=np.uint16))
    with pytest.raises(UMTError, match=rf"d\.png: median depth {values / 1000:.2f} m if its values are millimetres"):
        check_depth(image, depth, (0.5, 10.0))


@pytest.mark.parametrize("label", [-1, 2])
def test_validate_refuses_a_class_out_of_range(tmp_path: Path, make_image: Maker, label: int) -> None:
    image = make_image(tmp_path / "a.jpg")
    info = DatasetInfo(
        name="toys",
        title="Toys",
        kind="classification",
        folder="toys",
        splits={"train": 3},
        roles=Roles("train", "train"),
        classes=2,
        source="make it",
        read=lambda root, split: [Sample(image, 0), Sample(image, label), Sample(image, 1)],
        class_names=lambda root: ["ball", "doll"],
    )
    with pytest.raises(UMTError, match=rf"a\.jpg: class {label}, expected 0\.\.1; correct the label"):
        validate(Dataset(info, tmp_path))
