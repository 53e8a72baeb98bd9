"""Crops, windows and paddings for patches of 14 and 16 and a stride of 32."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.suite.protocols import load_protocol
from mmseg_configs.ade20k import ADE20KSettings, build, crop_of, evaluation_config, padded_crop_of
from mmseg_configs.backbone import centre
from mmseg_configs.runner import Parts
from umt.backbones import create_backbone
from umt.backbones.contract import Backbone, Features, Preprocess
from umt.data.contract import Dataset
from umt.errors import UMTError

VIT14 = "timm:test_vit?pretrained=false&patch_size=14&img_size=56"
VIT16 = "timm:test_vit?pretrained=false"
CNN32 = "timm:test_resnet?pretrained=false"


def published(protocol: str) -> ADE20KSettings:
    return load_protocol("ade20k_linear", protocol, ADE20KSettings).settings


class Watched(nn.Module):
    """A backbone's `extract`, and the sizes that it was given."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.sizes = backbone, list[tuple[int, ...]]()
        self.extract, backbone.extract = backbone.extract, self.forward  # type: ignore[method-assign]

    def forward(self, images: torch.Tensor, maps: Any) -> Features:
        self.sizes.append(tuple(images.shape[-2:]))
        return self.extract(images, maps)


def predicted(parts: Parts, item: dict[str, Any]) -> Any:
    """Predict an item of the test set with the model in test mode."""
    with torch.no_grad():
        [sample] = parts.model.eval().test_step({name: [value] for name, value in item.items()})
    return sample


@pytest.mark.parametrize(
    ("protocol", "multiple", "sides"),  # crop, padded crop, test window
    [
        ("paper", 14, (518, 518, 518)), ("paper", 16, (512, 512, 512)), ("paper", 32, (512, 512, 512)),
        ("radio", 14, (512, 518, 518)), ("radio", 16, (512, 528, 512)), ("radio", 32, (512, 544, 512)),
        ("dinov2", 14, (512, 512, 512)), ("dinov2", 32, (512, 512, 512)), ("dinov3", 16, (512, 512, 512)),
    ],
)  # fmt: skip
def test_sides_of_a_protocol(protocol: str, multiple: int, sides: tuple[int, ...]) -> None:
    settings = published(protocol)
    window = evaluation_config(settings, multiple)["crop_size"][0]
    assert (crop_of(settings, multiple), padded_crop_of(settings, multiple), window) == sides


@pytest.mark.parametrize(("spec", "multiple"), [(VIT14, 14), (VIT16, 16), (CNN32, 32)])
@pytest.mark.parametrize("padding", ["grown", "stretched", "centred"])
@pytest.mark.parametrize("mode", ["whole", "slide"])
def test_images_of_any_size_are_trained_on_and_tested(
    rooms: Dataset, settings: ADE20KSettings, spec: str, multiple: int, padding: str, mode: str
) -> None:
    """Rooms of 160x120 become 107x80, which is no multiple of anything."""
    changed = dataclasses.replace(
        settings, scale=(107, 80), crop=50, test_window=60, test_stride=40, padding=padding, test_mode=mode
    )
    backbone = create_backbone(spec)
    watched = Watched(backbone)
    parts = build(changed, backbone, rooms.samples("training"), rooms.samples("validation"), seed=0)
    items = [parts.train_set[index] for index in range(2)]
    assert all(max(item["inputs"].shape) <= crop_of(changed, multiple) for item in items)
    data = parts.model.data_preprocessor({name: [item[name] for item in items] for name in items[0]}, training=True)
    assert data["inputs"].shape[-2:] == (padded_crop_of(changed, multiple),) * 2
    losses = parts.model(**data, mode="loss")
    assert torch.isfinite(losses["decode.loss_ce"])
    sample = predicted(parts, parts.test_set[0])
    assert sample.pred_sem_seg.shape == sample.gt_sem_seg.shape == (120, 160)
    assert all(side % multiple == 0 for size in watched.sizes for side in size)


def test_the_frame_is_of_the_mean_colour_and_all_round() -> None:
    images, colour = torch.rand(2, 3, 10, 12), torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1)
    framed = centre(images, 14, colour)
    assert framed.shape == (2, 3, 14, 14)
    torch.testing.assert_close(framed[:, :, 2:12, 1:13], images)
    torch.testing.assert_close(framed[:, :, 0], colour[..., 0].expand(2, 3, 14))
    assert centre(framed, 14, colour) is framed


class Marked(Backbone):
    """A backbone whose only map is the brightness of 14x14 cells."""

    def __init__(self) -> None:
        super().__init__(Preprocess((0, 0, 0), (1, 1, 1), size_multiple=14), channels=(1,), strides=(14,), dim=1)
        self.anchor = nn.Parameter(torch.zeros(1))

    def extract(self, images: torch.Tensor, maps: Any) -> Features:
        cells = nn.functional.avg_pool2d(images.mean(dim=1, keepdim=True), 14)
        return Features(cells.mean(dim=(2, 3)), None, [cells for _ in maps])


@pytest.mark.parametrize(("padding", "shift"), [("grown", 0.0), ("stretched", -1.0)])
def test_the_trap_of_radio_moves_what_is_predicted(
    rooms: Dataset, settings: ADE20KSettings, padding: str, shift: float
) -> None:
    """An image of 56x56 in a test at 85x85 is padded to 98: squeezed, what is right ends more to the left."""
    changed = dataclasses.replace(settings, padding=padding, test_mode="whole", scale=(85, 85))
    parts = build(changed, Marked(), rooms.samples("training"), rooms.samples("validation"), seed=0)
    item = parts.test_set[0]  # 85x64
    item["inputs"] = torch.zeros_like(item["inputs"])
    item["inputs"][:, :, 42:56] = 255  # the fourth column of cells, wherever the padding is
    head = parts.model.decode_head
    with torch.no_grad():
        for value in head.conv_seg.parameters():
            value.zero_()
        head.conv_seg.weight[1] = 1.0  # class 1 where it is bright
        head.conv_seg.bias[0] = 0.5  # else class 0
        head.conv_seg.bias[2:] = -1.0
    columns = torch.where(predicted(parts, item).pred_sem_seg.data[0] == 1)[1].float()
    middle = float(columns.mean())
    expected = 49 / 85 * 160 if padding == "grown" else 49 / 98 * 160
    assert middle == pytest.approx(expected, abs=2.0)
    assert (middle < 85) == (shift < 0)


def test_a_crop_of_one_cell_is_refused(rooms: Dataset, settings: ADE20KSettings) -> None:
    changed = dataclasses.replace(settings, crop=20, batch=1, bn_batch=1)
    with pytest.raises(UMTError, match=r"'crop' is 20; it must be larger: 'timm:test_resnet.* has stride 32"):
        build(changed, create_backbone(CNN32), rooms.samples("training"), rooms.samples("validation"), seed=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test_stride": 65}, "'test_stride' is 65; it must be 1 to test_window = 64"),
        ({"padding": "mirrored"}, "'padding' is 'mirrored'; it must be grown or stretched or centred"),
        ({"schedule": "step"}, "'schedule' is 'step'"),
        ({"padded_crop": 32}, "'padded_crop' is 32; it must be null, or at least crop = 64"),
        ({"best_on_test": 0}, "'best_on_test' is 0"),
    ],
)
def test_settings_that_do_not_go_together(settings: ADE20KSettings, change: dict[str, Any], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        dataclasses.replace(settings, **change)
