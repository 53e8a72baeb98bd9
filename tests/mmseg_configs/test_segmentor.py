"""FusedEncoderDecoder against mmseg's EncoderDecoder with the same weights."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder, SegTTAModel
from mmseg.structures import SegDataSample

from mmseg_configs.backbone import data_preprocessor
from mmseg_configs.fused import map as fused_map
from mmseg_configs.metric import ClassIoU
from mmseg_configs.scope import mmseg_scope
from mmseg_configs.segmentor import FusedEncoderDecoder
from umt.errors import UMTError

CLASSES = 7
SLIDE = {"mode": "slide", "crop_size": (64, 64), "stride": (43, 43)}
HEADS: list[dict[str, Any]] = [
    {"type": "LinearHead", "in_channels": 96},
    {"type": "FCNHead", "in_channels": 96, "channels": 8, "num_convs": 1},
]


def pair(test: dict[str, Any], head: dict[str, Any], multiple: int = 32) -> tuple[EncoderDecoder, EncoderDecoder]:
    """mmseg's segmentor and ours, in float64."""
    config = {
        "data_preprocessor": data_preprocessor(multiple),
        "backbone": {"type": "UMTBackbone", "spec": "timm:test_resnet?pretrained=false"},
        "decode_head": {"num_classes": CLASSES, "dropout_ratio": 0.0, **head},
        "test_cfg": ConfigDict(test),
    }
    with mmseg_scope(0):
        theirs, ours = EncoderDecoder(**config).eval(), FusedEncoderDecoder(**config).eval()
    for parameter in theirs.decode_head.conv_seg.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))
    ours.load_state_dict(theirs.state_dict())
    return theirs.double(), ours.double()


def samples(model: EncoderDecoder, shape: tuple[int, int], original: tuple[int, int], **meta: Any) -> dict[str, Any]:
    """The preprocessed batch of one image."""
    image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sample = SegDataSample(metainfo={"ori_shape": original, "img_shape": shape, **meta})
    truth = torch.randint(0, CLASSES, (1, *shape), generator=torch.Generator().manual_seed(1))
    sample.gt_sem_seg = PixelData(data=truth)
    batch = model.data_preprocessor({"inputs": [image], "data_samples": [sample]})
    return {"inputs": batch["inputs"].double(), "data_samples": batch["data_samples"]}


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head["type"])
@pytest.mark.parametrize("test", [{"mode": "whole"}, SLIDE], ids=["whole", "slide"])
@pytest.mark.parametrize(("shape", "original"), [((64, 64), (64, 64)), ((70, 150), (93, 200)), ((50, 33), (40, 30))])
def test_the_same_prediction(
    test: dict[str, Any], head: dict[str, Any], shape: tuple[int, int], original: tuple[int, int]
) -> None:
    theirs, ours = pair(test, head)
    with torch.no_grad():
        [expected] = theirs.predict(**samples(theirs, shape, original))
        [found] = ours.predict(**samples(ours, shape, original))
    assert found.pred_sem_seg.data.dtype == expected.pred_sem_seg.data.dtype
    first, second = expected.seg_logits.data.topk(2, dim=0).values
    clear = first - second > 1e-6 * expected.seg_logits.data.abs().max()
    assert clear.float().mean() > 0.99
    assert torch.equal(found.pred_sem_seg.data[0][clear], expected.pred_sem_seg.data[0][clear])
    assert "seg_logits" not in found
    assert not hasattr(copy.deepcopy(found), "seg_logits")
    assert torch.equal(found.seg_logits.data, expected.seg_logits.data)
    assert len(found.pred_sem_seg.data.unique()) > 1 or head["type"] == "LinearHead"


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head["type"])
def test_the_same_losses(head: dict[str, Any]) -> None:
    theirs, ours = pair({"mode": "whole"}, head)
    batch = samples(theirs, (64, 96), (64, 96))
    if head["type"] == "LinearHead":
        theirs.decode_head.loss_by_feat = super(type(theirs.decode_head), theirs.decode_head).loss_by_feat
    expected, found = theirs.loss(**batch), ours.loss(**batch)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=0, check_dtype=False)


def test_a_flipped_image_goes_mmsegs_way() -> None:
    theirs, ours = pair({"mode": "whole"}, HEADS[0])
    with torch.no_grad():
        flipped = {"flip": True, "flip_direction": "horizontal"}
        [expected], [found] = (
            model.predict(**samples(model, (64, 96), (64, 96), **flipped)) for model in (theirs, ours)
        )
    assert torch.equal(expected.pred_sem_seg.data, found.pred_sem_seg.data)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("is_compiled", [True, False])
def test_logits_that_are_not_finite_predict_no_class(
    monkeypatch: pytest.MonkeyPatch, value: float, is_compiled: bool
) -> None:
    """And the metric says so, after the last image."""
    if not is_compiled:
        monkeypatch.setattr(fused_map, "kernel", lambda: None)
    _, ours = pair({"mode": "whole"}, HEADS[0])
    metric = ClassIoU()
    metric.dataset_meta = {"classes": list("abcdefg")}
    for bias in (0.0, value):
        with torch.no_grad():
            ours.decode_head.conv_seg.bias[2] = bias
            [sample] = ours.predict(**samples(ours, (64, 96), (64, 96)))
        assert (sample.pred_sem_seg.data == -1).all() == (bias != 0)
        sample.gt_sem_seg = PixelData(data=torch.zeros(1, 64, 96, dtype=torch.int64))
        metric.process({}, [sample.to_dict()])
    with pytest.raises(UMTError, match="logits of 1 of 2 test images are not finite"):
        metric.evaluate(2)


@pytest.mark.parametrize("scales", [(64,), (48, 64, 96)])
def test_augmentation_at_test_time_is_mmsegs(scales: tuple[int, ...]) -> None:
    """Also without a mirror image, of which mmseg's own prediction would have the logits."""
    theirs, ours = pair({"mode": "whole"}, HEADS[1])
    merged = []
    for module in (theirs, ours):
        model = SegTTAModel(module=module)
        views = [samples(module, (side, side), (70, 80), img_path="a.png") for side in scales]
        with torch.no_grad():
            merged.append(model.merge_preds([[module.predict(**view)[0] for view in views]])[0].pred_sem_seg.data)
    assert torch.equal(*merged)
    assert len(merged[0].unique()) > 1
