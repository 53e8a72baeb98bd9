"""timm models as backbones, against timm's own ways to the same features."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from umt.backbones import create_backbone
from umt.backbones.check import check_backbone
from umt.backbones.spec import parse_spec
from umt.errors import SizeError, UMTError

# Each family's code at a size for tests.
FAMILIES = {
    "test_resnet": 32,
    "test_vit": 16,
    "test_vit3": 16,
    "test_convnext": 32,
    "test_efficientnet": 32,
    "test_nfnet": 32,
    "test_byobnet": 32,
    "test_mambaout": 32,
    "test_maxvit": 160,
    "vit_small_patch14_reg4_dinov2?depth=2&embed_dim=32&num_heads=2&img_size=112": 14,
    "vit_small_patch16_dinov3?depth=2&embed_dim=64&num_heads=2": 16,
    "vit_base_patch16_clip_224?depth=2&embed_dim=32&num_heads=2": 16,
    "eva02_tiny_patch14_224?depth=2&embed_dim=64&num_heads=2": 14,
    "swin_tiny_patch4_window7_224?embed_dim=16&depths=[1, 1, 1, 2]&num_heads=[1, 2, 4, 8]": 32,
    "swinv2_tiny_window8_256?embed_dim=16&depths=[1, 1, 1, 2]&num_heads=[1, 2, 4, 8]": 32,
    "sam2_hiera_tiny?size=64": 32,
    "pvt_v2_b0": 32,
    "mobilenetv3_small_050": 32,
    "regnetx_002": 32,
    "fastvit_t8?layers=[1, 1, 1, 1]": 32,
    "poolformer_s12": 32,
}


def build(name: str):
    return create_backbone(f"timm:{name}{'&' if '?' in name else '?'}pretrained=false")


@pytest.mark.parametrize(("name", "multiple"), FAMILIES.items())
def test_every_family_keeps_the_contract(name: str, multiple: int) -> None:
    backbone = build(name)
    assert backbone.preprocess.size_multiple == multiple
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []


def test_an_architecture_of_one_size_gives_features_at_that_size_alone(images) -> None:
    backbone = build("mixer_s32_224")
    assert (backbone.fixed, backbone.side(448), backbone.no_dense) == (True, 224, "it takes images of 224x224 only")
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []
    pixels = images(224)
    torch.testing.assert_close(backbone(pixels, maps=()).pooled, backbone.model((pixels - 0.5) / 0.5))
    assert build("mixer_s32_224?size=160").preprocess.size == 224
    assert build("mixer_s32_224?img_size=192").preprocess.size == 192
    with pytest.raises(SizeError, match="takes images of 224x224 only, not 256x256"):
        backbone(images(256))


@pytest.mark.parametrize("name", ["crossvit_9_240?depth=[[1, 1, 0]]", "inception_v3"])
def test_maps_without_a_stride_are_left_out(images, name: str) -> None:
    backbone = build(name)
    assert "has no stride" in backbone.no_dense
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []
    with pytest.raises(UMTError, match=r"gives no maps: its .* has no stride"):
        backbone(images(backbone.side(128)), maps=(-1,))


@pytest.mark.parametrize("size", [(224, 224), (96, 128)])
@pytest.mark.parametrize(
    ("name", "tables"),
    [
        ("beit_base_patch16_224?depth=2&embed_dim=48&num_heads=3", "rel_pos.*bias_table"),
        ("test_vit_relpos?depth=2", "relative_position|rel_pos"),
        ("deit3_small_patch16_224?depth=2&embed_dim=48&num_heads=3&dynamic_img_size=false", "pos_embed"),
    ],
)
def test_tables_are_resampled_as_timm_resamples_them_for_weights(
    images, name: str, tables: str, size: tuple[int, int]
) -> None:
    backbone = build(name)
    assert (backbone.fixed, backbone.sizes is None) == (False, False)
    for key, value in backbone.model.named_parameters():
        if re.search(tables, key):
            value.data.normal_(generator=torch.Generator().manual_seed(0))
    spec = parse_spec(f"timm:{name}")
    fixed = timm.create_model(spec.name, **{**spec.options, "img_size": size, "num_classes": 0}).eval()
    convert = sys.modules[type(fixed).__module__].checkpoint_filter_fn
    fixed.load_state_dict(convert(backbone.model.state_dict(), fixed))
    pixels = images(*size)
    expected = fixed((pixels - backbone.mean) / backbone.std)
    with torch.no_grad():
        torch.testing.assert_close(backbone(pixels, maps=()).pooled, expected)
        torch.testing.assert_close(backbone(pixels, maps=()).pooled, expected)
        backbone.model.norm.bias.add_(1) if hasattr(backbone.model.norm, "bias") else backbone.model.fc_norm.bias.add_(
            1
        )
        assert not torch.allclose(backbone(pixels, maps=()).pooled, expected), "weights that change are used at once"


def test_a_vit_gives_what_timm_gives(images) -> None:
    backbone, pixels = build("test_vit"), images(96, 128)
    features = backbone(pixels, maps=[1, 5])
    normalised = (pixels - 0.5) / 0.5
    expected = backbone.model.get_intermediate_layers(
        normalised, n=[1, 5], reshape=True, return_prefix_tokens=True, norm=True
    )
    for index, (fmap, prefix) in enumerate(expected):
        torch.testing.assert_close(features.maps[index], fmap)
        torch.testing.assert_close(features.map_cls[index], prefix[:, 0])
    tokens = backbone.model.forward_features(normalised)
    torch.testing.assert_close(features.cls, tokens[:, 0])
    torch.testing.assert_close(features.pooled, backbone.model(normalised))
    assert (backbone.has_cls, backbone.dim, backbone.depth) == (True, 64, 6)


def test_a_cnn_gives_what_timm_gives(images) -> None:
    backbone, pixels = build("test_resnet?mean=0&std=1"), images(96, 128)
    pyramid = timm.create_model("test_resnet", features_only=True).eval()
    pyramid.load_state_dict(backbone.model.state_dict(), strict=False)
    features = backbone(pixels)
    for found, expected in zip(features.maps, pyramid(pixels), strict=True):
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(features.pooled, backbone.model(pixels))
    assert backbone.channels == tuple(pyramid.feature_info.channels())
    assert backbone.strides == tuple(pyramid.feature_info.reduction())


SMALL = {"depth": 1, "embed_dim": 32, "num_heads": 2}
LAYOUTS = {  # name of a model, its options, and how many of its positions belong to no patch
    "class token": ("vit_tiny_patch16_224", {"img_size": 112}, 1),
    "no class token": ("vit_tiny_patch16_224", {"img_size": 112, "class_token": False, "global_pool": "avg"}, 0),
    "DINOv2": ("vit_small_patch14_dinov2", {"img_size": 98}, 1),
    "DINOv2 with registers": ("vit_small_patch14_reg4_dinov2", {"img_size": 98}, 0),
}


@pytest.mark.parametrize("cells", [(3, 4), (9, 5)], ids=["shrunk", "enlarged and shrunk"])
@pytest.mark.parametrize(("name", "options", "prefix"), LAYOUTS.values(), ids=LAYOUTS.keys())
def test_other_sizes_resample_the_positions_bicubically(
    images, name: str, options: dict, prefix: int, cells: tuple[int, int]
) -> None:
    """As a model made for that size, whose positions are those of the native 7 x 7 cells as Pillow resizes them."""
    backbone = create_backbone(f"timm:{name}", **options, **SMALL, pretrained=False)
    state = backbone.model.state_dict()
    state["pos_embed"].mul_(50)  # at their random start of 0.02 they would hardly be seen
    size = tuple(side * backbone.strides[-1] for side in cells)
    fixed = timm.create_model(name, **{**options, **SMALL, "img_size": size, "num_classes": 0}).eval()
    positions = state["pos_embed"]
    resized = [positions[:, :prefix], by_pillow(positions[0, prefix:], *cells)[None]]
    fixed.load_state_dict({**state, "pos_embed": torch.cat(resized, dim=1)})
    pixels = images(*size)
    expected = fixed.forward_features((pixels - backbone.mean) / backbone.std)
    fmap = backbone(pixels, maps=[0]).maps[0]
    torch.testing.assert_close(fmap.flatten(2).mT, expected[:, fixed.num_prefix_tokens :], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("cells", [(5, 5), (3, 4)])
@pytest.mark.parametrize(
    ("name", "channels_last"),
    [
        ("cait_xxs24_224?img_size=112&depth=1&embed_dim=48&num_heads=4", False),
        ("volo_d1_224?img_size=112", True),
    ],
)
def test_positions_that_timm_leaves_are_resampled_bicubically(
    images, name: str, channels_last: bool, cells: tuple[int, int]
) -> None:
    backbone = create_backbone(f"timm:{name}&pretrained=false", trusted=True)
    assert (backbone.fixed, backbone.sizes is None) == (False, False)
    positions = backbone.model.pos_embed
    positions.data.normal_(generator=torch.Generator().manual_seed(0))
    spec = parse_spec(f"timm:{name}")
    size = (cells[0] * 16, cells[1] * 16)
    fixed = timm.create_model(spec.name, **{**spec.options, "img_size": size, "num_classes": 0}).eval()
    table = by_pillow(positions.detach().reshape(49, -1), *cells)
    state = {**backbone.model.state_dict(), "pos_embed": table.reshape(fixed.pos_embed.shape)}
    fixed.load_state_dict(state)
    assert (positions.ndim == 4) == channels_last
    pixels = images(*size)
    expected = fixed((pixels - backbone.mean) / backbone.std)
    torch.testing.assert_close(backbone(pixels, maps=()).pooled, expected, atol=1e-4, rtol=1e-4)
    features = backbone(pixels, maps=()).pooled.sum()
    features.backward()
    assert positions.grad is not None, "the table is trained through its resampling"


def by_pillow(positions: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Positions [49, D] of 7 x 7 cells as [rows * columns, D], each dimension an image of its own."""
    planes = [Image.fromarray(plane.reshape(7, 7)) for plane in positions.T.contiguous().numpy()]
    resized = [np.asarray(plane.resize((columns, rows), Image.Resampling.BICUBIC)) for plane in planes]
    return torch.from_numpy(np.stack(resized)).flatten(1).T


def test_layer_decay_groups_follow_the_depth() -> None:
    layers = build("test_vit").layer_ids()
    assert layers["model.patch_embed.proj.weight"] == layers["model.pos_embed"] == layers["model.cls_token"] == 0
    assert [layers[f"model.blocks.{block}.attn.qkv.weight"] for block in range(6)] == [1, 2, 3, 4, 5, 6]
    assert {"model.pos_embed", "model.cls_token"} <= build("test_vit").no_weight_decay()


def test_random_weights_are_always_the_same() -> None:
    torch.manual_seed(1)
    first = build("test_resnet").weights_hash()
    draw = torch.rand(1)
    torch.manual_seed(1)
    assert build("test_resnet").weights_hash() == first
    assert torch.rand(1) == draw, "building must not touch the caller's random state"


def test_drop_path_is_an_option_of_the_name() -> None:
    backbone = create_backbone("timm:test_vit?pretrained=false", drop_path_rate=0.3)
    assert backbone.spec == "timm:test_vit?pretrained=false&drop_path_rate=0.3"
    assert backbone.model.blocks[-1].drop_path1.drop_prob == pytest.approx(0.3)


def test_weights_and_preprocessing_from_a_name(tmp_path: Path) -> None:
    source = build("test_vit")
    state = {f"module.{name}": value + 1 for name, value in source.model.state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    backbone = create_backbone(f"timm:test_vit?weights={tmp_path}/w.safetensors&mean=0.5&std=[0.1, 0.2, 0.3]&size=96")
    assert backbone.load_report.complete
    assert backbone.preprocess.mean == (0.5, 0.5, 0.5)
    assert backbone.preprocess.std == (0.1, 0.2, 0.3)
    assert backbone.preprocess.size == 96
    torch.testing.assert_close(backbone.model.norm.bias, source.model.norm.bias + 1)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    torch.save(build("test_resnet").model.state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(UMTError, match=r"resnet\.pth: .*check the architecture"):
        create_backbone(f"timm:test_vit?weights={tmp_path}/resnet.pth")


def test_unknown_names_and_options_are_one_line() -> None:
    with pytest.raises(UMTError, match="Did you mean resnet50"):
        create_backbone("timm:resnet_50")
    with pytest.raises(UMTError, match="Invalid pretrained tag"):
        create_backbone("timm:resnet18.no_such_tag")
    with pytest.raises(UMTError, match="depht"):
        build("test_vit?depht=3")


def test_an_unreachable_hub_is_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def offline(*args: object, **options: object) -> None:
        logging.getLogger("huggingface_hub").warning("Retrying in 1s")
        raise ConnectionError("no route")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UMTError, match=r"could not be fetched.*timm:resnet18\?weights=FILE"):
        create_backbone("timm:resnet18")
    assert caplog.text == ""
    logging.getLogger("huggingface_hub").warning("heard again")
    assert "heard again" in caplog.text


@pytest.mark.parametrize(
    "name",
    [
        "mobilenetv2_100?weights={}/mobilenetv2_100_imagenet_dogs.safetensors&pad_type=same&bn_eps=1e-3&mean=0.5&std=0.5",
        "vit_small_patch14_dinov2?weights={}/vit_small_patch14_dinov2_saliency.safetensors",
    ],
)
def test_real_weights_load_completely(real_data: Path, name: str) -> None:
    backbone = create_backbone("timm:" + name.format(real_data / "weights"))
    assert backbone.load_report.complete


def test_the_global_feature_of_a_dinov3_vit_is_its_class_token() -> None:
    """Their authors' model(x) for k-NN and linear probes; timm's default is the mean of the patch tokens."""
    small = "timm:vit_small_patch16_dinov3?pretrained=false&depth=2&embed_dim=48&num_heads=2"
    images = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        published, averaged = (create_backbone(spec).eval()(images) for spec in (small, f"{small}&global_pool=avg"))
    assert published.cls is not None
    assert torch.equal(published.pooled, published.cls)
    torch.testing.assert_close(averaged.pooled, published.maps[-1].mean(dim=(2, 3)))
    assert (published.pooled - averaged.pooled).abs().max() > 0.1
