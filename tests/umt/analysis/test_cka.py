"""CKA: against the published formula in float64, closed forms, invariances, and errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from umt.analysis import cka as module
from umt.analysis.cka import CkaTable, LinearCka
from umt.backbones import Backbone, create_backbone
from umt.data.contract import Sample
from umt.data.image_list import find_images
from umt.errors import UMTError
from umt.features import eval_images, run_over

Published = Callable[..., float]


def cka(x: Tensor, y: Tensor, batch: int = 10_000) -> CkaTable:
    """Compute the CKA of a pair in batches."""
    running = LinearCka(["x"], ["y"])
    for left, right in zip(x.split(batch), y.split(batch), strict=True):
        running.add([left], [right])
    return running.result()


def related(rows: int, width: int, other: int, mean: float = 0.0) -> tuple[Tensor, Tensor]:
    """Two feature sets that share eight directions; each dimension has a mean of about `mean` deviations."""
    generator = torch.Generator().manual_seed(rows)
    shared = torch.randn(rows, 8, generator=generator)
    sets = []
    for dims in (width, other):
        own = torch.randn(rows, dims, generator=generator)
        deviation = own + shared @ torch.randn(8, dims, generator=generator)
        sets.append(deviation + 3 * mean * torch.randn(dims, generator=generator))
    return sets[0], sets[1]


@pytest.mark.parametrize("mean", [0.0, 100.0])
@pytest.mark.parametrize(("rows", "width", "other"), [(1500, 96, 200), (700, 30, 130), (60, 200, 90)])
def test_both_estimates_equal_the_published_formula(
    published_cka: Published, monkeypatch: pytest.MonkeyPatch, rows: int, width: int, other: int, mean: float
) -> None:
    """By moments in several chunks, and by the Gram form where dimensions outnumber rows; also for large means."""
    monkeypatch.setattr(module, "CHUNK_ROWS", 256)
    x, y = related(rows, width, other, mean)
    found = cka(x, y, batch=77)
    x, y = (values.double() - values.double().mean(dim=0) for values in (x, y))  # the formula itself cancels
    assert float(found.biased) == pytest.approx(published_cka(x, y), abs=1e-8)
    assert float(found.unbiased) == pytest.approx(published_cka(x, y, unbiased=True), abs=1e-8)
    assert found.samples == rows


def test_real_features_give_what_the_published_formula_gives(published_cka: Published, real_data: Path) -> None:
    images = find_images(real_data / "imagenet_1k_samples")
    samples = [Sample(images.path(index), 0) for index in range(0, len(images), len(images) // 24)]
    weights = real_data / "weights"
    specs = (
        f"timm:vit_small_patch14_dinov2?img_size=518&weights={weights}/vit_small_patch14_dinov2_saliency.safetensors",
        f"timm:mobilenetv2_100?pad_type=same&bn_eps=0.001&weights={weights}/mobilenetv2_100_imagenet_dogs.safetensors",
    )

    def pooled(backbone: Backbone) -> torch.Tensor:
        images = eval_images(samples, backbone.preprocess, 224)
        return run_over(
            images, lambda batch: backbone.eval()(batch, maps=()).pooled, torch.device("cpu"), 8, lambda *_: None
        )

    x, y = (pooled(create_backbone(spec)) for spec in specs)
    found = cka(x, y)
    assert float(found.biased) == pytest.approx(published_cka(x, y), abs=1e-8)
    assert float(found.unbiased) == pytest.approx(published_cka(x, y, unbiased=True), abs=1e-8)


def test_rotation_scale_and_shift_change_nothing() -> None:
    x, y = related(900, 40, 70)
    rotation = torch.linalg.qr(torch.randn(40, 40, generator=torch.Generator().manual_seed(1)))[0]
    one, other = cka(x, y), cka(3.7 * x @ rotation + 5, y)
    torch.testing.assert_close(other.biased, one.biased, rtol=0, atol=1e-6)
    torch.testing.assert_close(other.unbiased, one.unbiased, rtol=0, atol=1e-6)


def test_identical_features_have_one_and_unrelated_ones_about_zero() -> None:
    x, _ = related(500, 30, 30)
    same = cka(x, x)
    assert float(same.biased) == pytest.approx(1, abs=1e-12)
    assert float(same.unbiased) == pytest.approx(1, abs=1e-12)
    generator = torch.Generator().manual_seed(3)
    left, right = (torch.randn(300, 256, generator=generator) for _ in range(2))
    unrelated = cka(left, right)
    assert abs(float(unrelated.unbiased)) < 0.02
    assert float(unrelated.biased) > 0.3  # which is why it is not the one that tables show


@pytest.mark.parametrize("rows", [40, 400])
def test_part_of_orthonormal_dimensions_has_the_root_of_its_share(rows: int) -> None:
    """|Y'X|^2 = k, |X'X| = sqrt(d), |Y'Y| = sqrt(k): CKA is sqrt(k / d)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, 32, generator=generator, dtype=torch.float64)
    x = torch.linalg.qr(x - x.mean(dim=0))[0]
    assert float(cka(x, x[:, :8]).biased) == pytest.approx((8 / 32) ** 0.5, abs=1e-7)


def test_every_left_set_meets_every_right_one() -> None:
    x, y = related(400, 20, 50)
    running = LinearCka(["x", "z"], ["y", "x", "w"])
    running.add([x, x[:, :5]], [y, x, y[:, :7]])
    found = running.result()
    assert found.biased.shape == found.unbiased.shape == (2, 3)
    assert float(found.unbiased[1, 2]) == pytest.approx(float(cka(x[:, :5], y[:, :7]).unbiased), abs=1e-12)
    assert float(found.biased[0, 1]) == pytest.approx(1, abs=1e-12)


def test_rows_are_not_kept_once_there_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    x, y = related(200, 20, 50)
    running = LinearCka(["x"], ["y"])
    for left, right in zip(x.split(20), y.split(20), strict=True):
        running.add([left], [right])
        assert sum(len(rows) for rows in running.stored_rows[0]) < 64 + 20
    assert running.moments.rows == 160


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (torch.randn(3, 5), torch.randn(3, 5), "CKA of 3 samples: it takes at least 4"),
        (torch.randn(9, 5), torch.randn(8, 5), r"b: features of shape \(8, 5\) beside \(9, 5\) of a"),
        (torch.randn(9, 5, 2), torch.randn(9, 5), r"a: features of shape \(9, 5, 2\)"),
        (torch.randn(9, 5), torch.full((9, 5), float("nan")), "b: its features are not finite, first of sample 0"),
        (torch.randn(9, 5), torch.full((9, 5), 0.3), "b: its features are the same for all 9 samples"),
    ],
)
def test_bad_features_are_one_line(left: Tensor, right: Tensor, message: str) -> None:
    running = LinearCka(["a"], ["b"])
    with pytest.raises(UMTError, match=message) as error:
        running.add([left], [right])
        running.result()
    assert "\n" not in str(error.value)


def test_a_set_that_is_missing_is_an_error() -> None:
    with pytest.raises(UMTError, match="CKA of a, b, c: 2 feature sets, expected 3; give one a name"):
        LinearCka(["a"], ["b", "c"]).add([torch.randn(5, 2)], [torch.randn(5, 2)])
