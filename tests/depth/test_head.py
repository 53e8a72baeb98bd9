"""The DPT depth head: its pyramid, its range and its loss."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from depth.head import DPTDepthHead, Reassemble
from mmseg_configs.scope import mmseg_scope
from umt.errors import UMTError

SIDE = 64  # of the image
VIT, CNN = (16, 16, 16, 16), (4, 8, 16, 32)


def pairs(strides: Sequence[int], widths: Sequence[int]) -> list[list[Tensor]]:
    torch.manual_seed(0)
    return [
        [torch.randn(2, width, SIDE // stride, SIDE // stride), torch.randn(2, width)]
        for stride, width in zip(strides, widths, strict=True)
    ]


def make_head(strides: Sequence[int], widths: Sequence[int], bounded: bool = True) -> DPTDepthHead:
    with mmseg_scope(0):
        head = DPTDepthHead(
            widths,
            strides,
            channels=8,
            post_process_channels=[4, 6, 8, 10],
            min_depth=1e-3,
            max_depth=10.0,
            bounded=bounded,
            loss_decode={"type": "MaskedSiLog"},
        )
    return head.eval()


@pytest.mark.parametrize(("strides", "widths"), [(VIT, (12, 12, 12, 12)), (CNN, (8, 12, 16, 24))])
def test_levels_come_out_at_strides_4_8_16_32(strides: Sequence[int], widths: Sequence[int]) -> None:
    maps = Reassemble(widths, strides, [4, 6, 8, 10])(pairs(strides, widths))
    assert [tuple(fmap.shape[1:]) for fmap in maps] == [(4, 16, 16), (6, 8, 8), (8, 4, 4), (10, 2, 2)]


def test_a_pyramid_of_those_strides_is_not_resampled() -> None:
    assert all(
        isinstance(layer, nn.Identity) for layer in Reassemble((8, 12, 16, 24), CNN, [4, 6, 8, 10]).resize_layers
    )


def test_readout_projects_the_summary_into_every_place() -> None:
    reassemble = Reassemble((3,) * 4, CNN, [4, 6, 8, 10])
    inputs = pairs(CNN, (3,) * 4)
    fmap, summary = inputs[1]
    linear, convolution = reassemble.readout_projects[1][0], reassemble.projects[1].conv
    context = torch.cat([fmap[0, :, 2, 5], summary[0]])
    hidden = torch.nn.functional.gelu(linear.weight @ context + linear.bias)
    expected = convolution.weight[:, :, 0, 0] @ hidden + convolution.bias
    torch.testing.assert_close(reassemble(inputs)[1][0, :, 2, 5], expected)


def test_strides_that_do_not_divide_are_refused() -> None:
    with pytest.raises(UMTError, match="scale a map by 4/3"):
        Reassemble((8,) * 4, (4, 8, 12, 16), [4, 6, 8, 10])


@pytest.mark.parametrize("scale", [1.0, 1e4, -1e4])
def test_predictions_stay_in_the_range(scale: float) -> None:
    head = make_head(CNN, (8, 8, 8, 8))
    head.conv_seg.weight.data.mul_(scale).add_(scale)
    depth = head(pairs(CNN, (8, 8, 8, 8)))
    assert depth.shape == (2, 1, 32, 32)
    assert float(depth.detach().min()) >= 1e-3 - 1e-9
    assert float(depth.detach().max()) <= 10.0


def test_the_raw_head_is_unbounded_in_training_and_clamped_in_testing() -> None:
    raw, bounded = make_head(CNN, (8,) * 4, bounded=False), make_head(CNN, (8,) * 4)
    bounded.load_state_dict(raw.state_dict())
    inputs, metas = pairs(CNN, (8,) * 4), [{"img_shape": torch.Size((SIDE, SIDE))}]
    output = raw(inputs).detach()
    torch.testing.assert_close(bounded(inputs).detach(), 1e-3 + (10.0 - 1e-3) * output.sigmoid())
    assert float(output.min()) < 0
    predicted = raw.predict(inputs, metas, {}).detach()
    assert predicted.shape == (2, 1, SIDE, SIDE)
    assert float(predicted.min()) == pytest.approx(1e-3)
    torch.testing.assert_close(predicted, resize(output, SIDE).clamp(1e-3, 10.0))


def resize(fmap: Tensor, side: int) -> Tensor:
    return nn.functional.interpolate(fmap, size=(side, side), mode="bilinear", align_corners=False)


@pytest.mark.parametrize("empty", [[0], [0, 1]])
def test_a_crop_without_depth_gives_no_nan_gradient(empty: list[int]) -> None:
    head = make_head(CNN, (8, 8, 8, 8))
    truth = torch.rand(2, 1, SIDE, SIDE) * 5 + 1
    truth[empty] = 0.0
    samples = [SegDataSample() for _ in truth]
    for sample, depth in zip(samples, truth, strict=True):
        sample.gt_depth_map = PixelData(data=depth)
    loss = head.loss(pairs(CNN, (8, 8, 8, 8)), samples, {})["loss_silog"]
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(value.grad).all() for value in head.parameters() if value.grad is not None)
    assert bool(head.conv_seg.weight.grad.any()) is (len(empty) == 1)
