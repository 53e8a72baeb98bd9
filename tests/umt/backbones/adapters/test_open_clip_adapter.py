"""open_clip's image towers as backbones, against `encode_image` of the same models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
import torch
from open_clip.factory import _MODEL_CONFIG_PATHS, _MODEL_CONFIGS
from open_clip.transformer import QuickGELU
from torch import nn

from umt.backbones import Backbone, create_backbone
from umt.backbones.check import check_backbone
from umt.errors import UMTError

VIT = {"image_size": 32, "layers": 3, "width": 32, "patch_size": 8, "head_width": 16}
TIMM = {"timm_model_pretrained": False, "timm_proj": "linear"}
TOWERS = {
    "tiny-vit": VIT,
    "tiny-coca": {**VIT, "attentional_pool": True, "attn_pooler_queries": 4, "attn_pooler_heads": 2},
    "tiny-resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16},
    "tiny-timm-cnn": {**TIMM, "timm_model_name": "test_resnet", "timm_pool": "avg", "image_size": 160},
    "tiny-timm-vit": {**TIMM, "timm_model_name": "test_vit", "timm_pool": "", "image_size": 160},
    "tiny-timm-fixed": {**TIMM, "timm_model_name": "vit_tiny_patch16_224", "timm_pool": "", "image_size": 224},
}
TEXT = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}


@pytest.fixture(scope="module", autouse=True)
def _tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Adds the towers to the models that open_clip knows, and takes them away again."""
    folder, configs, paths = tmp_path_factory.mktemp("configs"), dict(_MODEL_CONFIGS), list(_MODEL_CONFIG_PATHS)
    for name, vision in TOWERS.items():
        config = {"embed_dim": 24, "vision_cfg": vision, "text_cfg": TEXT}
        (folder / f"{name}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    yield
    _MODEL_CONFIG_PATHS[:] = paths
    _MODEL_CONFIGS.clear()
    _MODEL_CONFIGS.update(configs)


def reference(name: str) -> nn.Module:
    torch.manual_seed(1)
    return open_clip.create_model(name).eval()


@pytest.mark.parametrize("name", TOWERS)
def test_every_kind_of_tower_keeps_the_contract(name: str) -> None:
    assert [
        finding for finding in check_backbone(create_backbone(f"open_clip:{name}?pretrained=false")) if finding.problem
    ] == []


@pytest.mark.parametrize("name", TOWERS)
def test_pooled_is_the_image_encoding(name: str, images, tmp_path: Path) -> None:
    model = reference(name)
    torch.save(model.state_dict(), tmp_path / "clip.pth")
    backbone = create_backbone(f"open_clip:{name}?weights={tmp_path}/clip.pth")
    assert backbone.load_report.complete
    pixels = images(backbone.preprocess.size)
    mean, std = (
        torch.tensor(values).view(3, 1, 1) for values in (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
    )
    torch.testing.assert_close(backbone(pixels).pooled, model.encode_image((pixels - mean) / std))


def test_tokens_are_those_of_the_blocks_after_the_final_norm(images, tmp_path: Path) -> None:
    model = reference("tiny-vit")
    torch.save(model.visual.state_dict(), tmp_path / "tower.pth")
    backbone = create_backbone(f"open_clip:tiny-vit?weights={tmp_path}/tower.pth&mean=0&std=1")
    blocks: list[torch.Tensor] = []
    for block in model.visual.transformer.resblocks:
        block.register_forward_hook(lambda module, inputs, output: blocks.append(model.visual.ln_post(output)))
    pixels = images(32)
    model.encode_image(pixels)
    features = backbone(pixels)
    for tokens, fmap, cls in zip(blocks, features.maps, features.map_cls, strict=True):
        torch.testing.assert_close(fmap.flatten(2).transpose(1, 2), tokens[:, 1:])
        torch.testing.assert_close(cls, tokens[:, 0])
    torch.testing.assert_close(features.cls, blocks[-1][:, 0])


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-timm-fixed"])
def test_positions_follow_the_image_and_the_file(name: str, images, tmp_path: Path) -> None:
    backbone = create_backbone(f"open_clip:{name}?pretrained=false")
    side = 2 * backbone.preprocess.size
    torch.save(backbone.model.visual.state_dict(), tmp_path / "tower.pth")
    if "timm_model_name" in TOWERS[name]:
        larger = create_backbone(f"open_clip:{name}?force_image_size={side}&pretrained=false")
    else:
        larger = create_backbone(f"open_clip:{name}?force_image_size={side}&weights={tmp_path}/tower.pth")
        assert larger.load_report.complete
    torch.testing.assert_close(backbone(images(side)).pooled, larger(images(side)).pooled)


def test_activation_and_preprocessing_belong_to_the_weights() -> None:
    def tiny(name: str, vision: dict) -> Backbone:
        return create_backbone(f"open_clip:{name}?pretrained=false", vision_cfg=vision, text_cfg=TEXT, trusted=True)

    openai, laion = tiny("ViT-B-32/openai", VIT), tiny("ViT-B-32/laion2b_s34b_b79k", VIT)
    assert type(openai.model.visual.transformer.resblocks[0].mlp.gelu) is QuickGELU
    assert type(laion.model.visual.transformer.resblocks[0].mlp.gelu) is nn.GELU
    assert openai.preprocess.mean == open_clip.OPENAI_DATASET_MEAN
    siglip = tiny("ViT-B-16-SigLIP/webli", TOWERS["tiny-timm-vit"])
    assert (siglip.preprocess.mean, siglip.preprocess.std) == ((0.5,) * 3, (0.5,) * 3)


def test_layers_follow_the_depth() -> None:
    layers = create_backbone("open_clip:tiny-vit?pretrained=false").layer_ids()
    assert layers["model.visual.conv1.weight"] == layers["model.visual.positional_embedding"] == 0
    assert [layers[f"model.visual.transformer.resblocks.{block}.ln_1.weight"] for block in range(3)] == [1, 2, 3]
    assert layers["model.visual.proj"] == 3


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(UMTError, match="Did you mean ViT-B-16"):
        create_backbone("open_clip:ViT-B-15")
    with pytest.raises(UMTError, match="Did you mean openai"):
        create_backbone("open_clip:ViT-B-16/openia")
    with pytest.raises(UMTError, match="drop_path_rate"):
        create_backbone("open_clip:tiny-vit?drop_path_rate=0.1&pretrained=false")
    torch.save(reference("tiny-resnet").state_dict(), tmp_path / "resnet.pth")
    with pytest.raises(UMTError, match=r"resnet\.pth: refused: .*'conv1\.weight' is"):
        create_backbone(f"open_clip:tiny-vit?weights={tmp_path}/resnet.pth")


def test_random_weights_only_if_asked_for() -> None:
    with pytest.raises(UMTError, match=r"names no weights; .*tags, open_clip:ViT-B-16/TAG \(openai.*pretrained=false"):
        create_backbone("open_clip:ViT-B-16")
