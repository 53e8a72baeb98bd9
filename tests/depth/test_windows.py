"""All windows in one forward give what mmseg gives window by window."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from mmseg.models.segmentors import DepthEstimator
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from benchmarks.suite.protocols import load_protocol
from depth.nyuv2 import NYUSettings, model_config
from depth.windows import WindowedDepthEstimator, window_boxes
from mmseg_configs.scope import mmseg_scope
from umt.backbones import create_backbone


def make_model(window: int, stride: int, spec: str = "timm:test_vit?pretrained=false") -> WindowedDepthEstimator:
    settings = load_protocol("nyuv2_depth", "paper", NYUSettings).settings
    small = {"channels": 8, "post_process_channels": (4, 4, 4, 4), "test_window": window, "test_stride": stride}
    with mmseg_scope(0):
        model = MODELS.build(model_config(dataclasses.replace(settings, **small), create_backbone(spec)))
    return model.eval()


@pytest.mark.parametrize("spec", ["timm:test_vit?pretrained=false", "timm:test_resnet?pretrained=false"])
@pytest.mark.parametrize(
    ("shape", "window", "stride"),
    [((96, 128), 96, 16), ((96, 160), 64, 48), ((64, 96), 96, 32), ((64, 96), 128, 32)],
)
def test_equal_to_mmseg(spec: str, shape: tuple[int, int], window: int, stride: int) -> None:
    model = make_model(window, stride, spec)
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(1))
    metas = [{"img_shape": shape, "ori_shape": shape} for _ in images]
    with torch.inference_mode():
        theirs = DepthEstimator.slide_flip_inference(model, images, metas)
        ours = model.inference(images, metas)
    assert float(theirs.std()) > 1e-3
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


PATCH_14 = "timm:vit_small_patch14_dinov2?pretrained=false&img_size=70&depth=4&embed_dim=24&num_heads=2"


@pytest.mark.parametrize(("shape", "seen"), [((70, 99), (70, 70)), ((60, 64), (70, 70)), ((40, 99), (42, 70))])
def test_only_images_smaller_than_a_window_are_padded(shape: tuple[int, int], seen: tuple[int, int]) -> None:
    """Published windows of 518 lie in images of 691, which are no multiple of 14."""
    model = make_model(70, 14, PATCH_14)
    batches: list[torch.Tensor] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0]))
    image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    sample = SegDataSample(metainfo={"ori_shape": shape, "img_shape": shape})
    with torch.inference_mode():
        [result] = model.test_step({"inputs": [image], "data_samples": [sample]})
    assert {tuple(batch.shape[2:]) for batch in batches} == {seen}
    below = batches[0][:, :, shape[0] :]
    torch.testing.assert_close(below, model.backbone.backbone.mean.expand_as(below))
    assert result.pred_depth_map.data.shape == (1, *shape)


def test_six_windows_are_one_forward() -> None:
    model = make_model(96, 16)
    sizes: list[tuple[int, ...]] = []
    model.backbone.register_forward_pre_hook(lambda _, inputs: sizes.append(tuple(inputs[0].shape)))
    with torch.inference_mode():
        model.slide_flip_inference(torch.rand(2, 3, 96, 128), [{}])
    assert sizes == [(2 * 3 * 2, 3, 96, 96)]


def test_published_windows() -> None:
    """Proteus' 518 of 691 at steps of 129, and 480 of 640 at steps of 80: three each."""
    assert window_boxes((518, 691), (518, 518), (129, 129)) == [
        (0, 518, left, left + 518) for left in (0, 129, 691 - 518)
    ]
    assert len(window_boxes((480, 640), (480, 480), (80, 80))) == 3
    assert window_boxes((480, 640), (640, 640), (80, 80)) == [(0, 480, 0, 640)]


def test_what_the_backbone_pads_all_round_is_stretched_over_the_image() -> None:
    settings = load_protocol("nyuv2_depth", "kitti_dinov2", NYUSettings).settings
    with mmseg_scope(0):
        model = MODELS.build(model_config(settings, create_backbone(PATCH_14))).eval()
    batches: list[torch.Tensor] = []
    model.backbone.backbone.register_forward_pre_hook(lambda _, inputs: batches.append(inputs[0]))
    image, metas = torch.rand(1, 3, 60, 66), [{"img_shape": (60, 66), "ori_shape": (60, 66)}]
    with torch.inference_mode():
        assert model.inference(image, metas).shape == (1, 1, 60, 66)
    (seen,) = batches  # with its mirror image
    assert seen.shape == (2, 3, 70, 70)
    torch.testing.assert_close(seen[0, :, 5:65, 2:68], image[0], rtol=0, atol=1e-6)
    border = seen[:, :, [0, -1]] - model.backbone.backbone.mean
    assert border.abs().max() < 1e-6, "the mean colour above and below"
