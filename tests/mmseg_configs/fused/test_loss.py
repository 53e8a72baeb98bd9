"""Loss, gradient and accuracy against mmseg's own head on the same logits and labels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from mmseg_configs.fused import loss as upsampled_loss
from mmseg_configs.fused.loss import upsampled_cross_entropy
from mmseg_configs.head import LinearHead

CLASSES = 11


def samples_of(labels: Tensor) -> list[SegDataSample]:
    samples = [SegDataSample() for _ in labels]
    for sample, values in zip(samples, labels, strict=True):
        sample.gt_sem_seg = PixelData(data=values[None])
    return samples


def labels_of(shape: tuple[int, ...], ignored: float = 0.2, classes: int = CLASSES) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    labels = torch.randint(0, classes, shape, generator=generator)
    return torch.where(torch.rand(shape, generator=generator) < ignored, 255, labels)


def head_of(loss: Any, **options: Any) -> LinearHead:
    with DefaultScope.overwrite_default_scope("mmseg"):
        return LinearHead(4, CLASSES, loss_decode=loss, **options)


def both(head: LinearHead, logits: Tensor, labels: Tensor) -> list[tuple[dict[str, Tensor], Tensor]]:
    """Values and gradient of mmseg's way, then of ours."""
    results = []
    for loss in (BaseDecodeHead.loss_by_feat, LinearHead.loss_by_feat):
        leaf = logits.clone().requires_grad_()
        values = loss(head, leaf, samples_of(labels))
        values["loss_ce"].backward()
        results.append((values, leaf.grad))
    return results


LOSSES = [
    {},
    {"avg_non_ignore": True},
    {"reduction": "sum", "loss_weight": 0.4},
    {"class_weight": [0.1 * (index + 1) for index in range(CLASSES)]},
]


@pytest.mark.parametrize("options", LOSSES, ids=lambda options: next(iter(options), "default"))
@pytest.mark.parametrize(
    ("grid", "size"), [((4, 5), (64, 80)), ((1, 1), (16, 24)), ((9, 7), (9, 7)), ((5, 3), (37, 40))]
)
def test_equal_to_mmseg_in_float64(
    options: dict[str, Any], grid: tuple[int, int], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(upsampled_loss.CHUNK_LOGITS, "cpu", 2000)
    logits = torch.randn(2, CLASSES, *grid, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 5
    (theirs, expected), (ours, found) = both(
        head_of({"type": "CrossEntropyLoss", **options}), logits, labels_of((2, *size))
    )
    torch.testing.assert_close(ours["loss_ce"], theirs["loss_ce"], rtol=1e-9, atol=0)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12 * float(expected.abs().max()))
    torch.testing.assert_close(ours["acc_seg"], theirs["acc_seg"].double(), rtol=1e-5, atol=0, check_dtype=False)


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_float32_gradient_within_1e5_of_mmseg(scale: float, align_corners: bool) -> None:
    logits = torch.randn(2, CLASSES, 8, 8, generator=torch.Generator().manual_seed(0)) * scale
    head = head_of({"type": "CrossEntropyLoss"}, align_corners=align_corners)
    (theirs, expected), (ours, found) = both(head, logits, labels_of((2, 128, 128)))
    assert float((found - expected).norm() / expected.norm()) < 1e-5
    torch.testing.assert_close(ours["loss_ce"], theirs["loss_ce"], rtol=1e-5, atol=0)


def test_all_pixels_ignored() -> None:
    """No gradient; the average over no pixels is 0, and mmseg's accuracy 100."""
    (theirs, expected), (ours, found) = both(
        head_of({"type": "CrossEntropyLoss", "avg_non_ignore": True}),
        torch.randn(1, CLASSES, 3, 3),
        torch.full((1, 24, 24), 255),
    )
    assert not found.any()
    assert not expected.any()
    assert ours["loss_ce"].item() == theirs["loss_ce"].item() == 0
    torch.testing.assert_close(ours["acc_seg"], theirs["acc_seg"])


@pytest.mark.parametrize(
    "loss",
    [
        {"type": "DiceLoss"},
        {"type": "CrossEntropyLoss", "use_sigmoid": True},
        [{"type": "CrossEntropyLoss"}, {"type": "DiceLoss"}],
    ],
)
def test_other_losses_are_left_to_mmseg(loss: Any) -> None:
    head, logits, labels = head_of(loss), torch.randn(1, CLASSES, 4, 4), labels_of((1, 16, 16), ignored=0.0)
    theirs, ours = (
        way(head, logits, samples_of(labels)) for way in (BaseDecodeHead.loss_by_feat, head.__class__.loss_by_feat)
    )
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def test_gradients_accumulate_and_autocast_changes_nothing() -> None:
    logits = torch.randn(2, CLASSES, 6, 6, requires_grad=True)
    labels = labels_of((2, 96, 96))
    upsampled_cross_entropy(logits, labels).loss.backward()
    once = logits.grad.clone()
    with torch.autocast("cpu", torch.bfloat16):
        upsampled_cross_entropy(logits, labels).loss.backward()
    torch.testing.assert_close(logits.grad, 2 * once, rtol=0, atol=0)


def test_half_precision_logits_are_taken_as_float32() -> None:
    logits = torch.randn(1, CLASSES, 6, 6).bfloat16().requires_grad_()
    labels = labels_of((1, 48, 48))
    loss = upsampled_cross_entropy(logits, labels).loss
    loss.backward()
    up = interpolate(logits.detach().float(), size=(48, 48), mode="bilinear")
    torch.testing.assert_close(loss.detach(), cross_entropy(up, labels, ignore_index=255, reduction="sum"))
    assert logits.grad.dtype == torch.bfloat16


def test_a_second_derivative_is_refused() -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    loss = upsampled_cross_entropy(logits, labels_of((1, 8, 8), classes=3)).loss
    (gradient,) = torch.autograd.grad(loss, logits, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(gradient.sum(), logits)


def test_real_logits_of_a_trained_head(trained_logits: list[Tensor]) -> None:
    head = head_of({"type": "CrossEntropyLoss"})
    for logits in trained_logits:
        labels = labels_of((1, 256, 352), classes=len(logits))
        (_, expected), (_, found) = both(head, logits[None], labels)
        assert float((found - expected).norm() / expected.norm()) < 1e-5
