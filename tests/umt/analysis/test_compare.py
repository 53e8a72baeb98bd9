"""CKA of backbones over images: against the formula on their features, grids, and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from umt.analysis.compare import CkaSettings, PairCka, Subject, compare, pairs_of, spaced
from umt.backbones import Backbone, create_backbone
from umt.data.contract import Sample
from umt.data.image_list import find_images
from umt.errors import UMTError
from umt.features import eval_images

CPU = torch.device("cpu")
SETTINGS = CkaSettings(resolution=64, crop_pct=1.0, maps=3)


def run(backbones: dict[str, Backbone], folder: Path, settings: CkaSettings = SETTINGS) -> list[PairCka]:
    subjects = [Subject.of(label, backbone, settings) for label, backbone in backbones.items()]
    pairs = pairs_of(len(subjects), every=False)
    return compare(subjects, pairs, find_images(folder), settings, CPU, 5, lambda *_: None)


@pytest.fixture
def folder(tmp_path: Path, image_folder: Callable[..., Path]) -> Path:
    return image_folder(tmp_path / "photos", classes=3, train=3, val=1, side=64)


def test_pooled_and_patches_equal_the_formula_on_all_features(
    folder: Path, patches: Backbone, published_cka: Callable[..., float]
) -> None:
    """The 8x8 grid of the patches comes to the 2x2 grid of the CNN."""
    cnn = create_backbone("timm:test_resnet?pretrained=false")
    (pair,) = run({"patches": patches, "cnn": cnn}, folder)
    images = find_images(folder)
    samples = [Sample(images.path(index), 0) for index in range(len(images))]
    found = {}
    for name, backbone in {"patches": patches, "cnn": cnn}.items():
        shown = eval_images(samples, backbone.preprocess, 64, 1.0)
        pixels = torch.stack([shown[index][0] for index in range(len(shown))]).float() / 255
        with torch.no_grad():
            features = backbone(pixels, (-1,))
        small = F.interpolate(features.maps[0], size=(2, 2), mode="bilinear", antialias=True)
        found[name] = features.pooled, small.movedim(1, -1).reshape(-1, small.shape[1])
    assert pair.grid == (2, 2)
    assert pair.pooled.samples == 12
    assert pair.patches.samples == 12 * 4
    for table, index in ((pair.pooled, 0), (pair.patches, 1)):
        x, y = found["patches"][index], found["cnn"][index]
        assert float(table.biased[-1, -1]) == pytest.approx(published_cka(x, y), abs=1e-6)
        assert float(table.unbiased[-1, -1]) == pytest.approx(published_cka(x, y, unbiased=True), abs=1e-6)


def test_tables_have_a_row_for_each_map_and_a_backbone_equals_itself(folder: Path) -> None:
    cnn = create_backbone("timm:test_resnet?pretrained=false")
    same, other = run({"a": cnn, "b": cnn, "vit": create_backbone("timm:test_vit?pretrained=false")}, folder)
    assert same.patches.unbiased.shape == (3, 3)
    torch.testing.assert_close(same.patches.unbiased.diagonal(), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(same.summaries.biased, same.summaries.biased.T)
    assert other.patches.unbiased.shape == (3, 2 if other.right.backbone.depth == 2 else 3)
    assert other.left.maps[-1] == cnn.depth - 1


@pytest.mark.parametrize(
    ("depth", "count", "expected"),
    [(12, 12, tuple(range(12))), (12, 4, (2, 5, 8, 11)), (4, 12, (0, 1, 2, 3)), (5, 1, (4,))],
)
def test_maps_are_evenly_spaced_with_the_last(depth: int, count: int, expected: tuple[int, ...]) -> None:
    assert spaced(depth, count) == expected


def test_pairs() -> None:
    assert pairs_of(3, every=False) == [(0, 1), (0, 2)]
    assert pairs_of(3, every=True) == [(0, 1), (0, 2), (1, 2)]


def test_a_broken_backbone_and_few_images_are_one_line(
    tmp_path: Path, image_folder: Callable[..., Path], folder: Path, patches: Backbone, broken: Backbone
) -> None:
    with pytest.raises(UMTError, match="bad, pooled: its features are not finite"):
        run({"good": patches, "bad": broken}, folder)
    few = image_folder(tmp_path / "few", classes=1, train=2, val=1)
    with pytest.raises(UMTError, match="CKA of 3 samples: it takes at least 4; give more images"):
        run({"one": patches, "other": patches}, few)
