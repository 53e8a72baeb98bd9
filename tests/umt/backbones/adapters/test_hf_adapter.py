"""Models of Hugging Face transformers as backbones, against transformers' own outputs; random weights in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from umt.backbones import create_backbone, wrap_module
from umt.backbones.check import check_backbone
from umt.errors import PackageError, SpecError, TrustError, UMTError

transformers = pytest.importorskip("transformers", reason="it comes with umt-bench[hf]")
VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
PLAIN = {**VIT, "image_size": 64, "patch_size": 16}
DINOV2 = {**VIT, "image_size": 70, "patch_size": 14}
CNN = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
SWIN = {"embed_dim": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 2, 4], "image_size": 64, "window_size": 2}

# The configuration of a family, its strides, and where the feature of the whole image stands in its output.
FAMILIES: dict[str, tuple[dict[str, Any], tuple[int, ...], str]] = {
    "ViT": (PLAIN, (16, 16), "cls"),
    "DeiT": (PLAIN, (16, 16), "cls"),
    "Dinov2": (DINOV2, (14, 14), "pooler"),
    "Dinov2WithRegisters": (DINOV2, (14, 14), "pooler"),
    "DINOv3ViT": (PLAIN, (16, 16), "pooler"),
    "DINOv3ConvNext": (CNN, (4, 8, 16, 32), "pooler"),
    "ConvNext": (CNN, (4, 8, 16, 32), "pooler"),
    "ConvNextV2": (CNN, (4, 8, 16, 32), "pooler"),
    "ResNet": ({"embedding_size": 8, "layer_type": "basic", **CNN}, (4, 8, 16, 32), "pooler"),
    "CLIPVision": (PLAIN, (16, 16), "pooler"),
    "SiglipVision": (PLAIN, (16, 16), "pooler"),
    "Swin": ({**SWIN, "patch_size": 2}, (2, 4, 8, 16), "pooler"),
    "Beit": (PLAIN, (16, 16), "pooler"),
    "IJepa": (PLAIN, (16, 16), "mean"),
    "ViTMSN": (PLAIN, (16, 16), "cls"),
}


def model_of(family: str, **changes: Any) -> Any:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**FAMILIES[family][0], **changes})
    return transformers.AutoModel.from_config(config).eval()


def folder_of(model: Any, folder: Path, **preprocessing: Any) -> Path:
    """Save a model as the hub keeps it."""
    model.save_pretrained(folder)
    content = {"image_processor_type": "ViTImageProcessor", "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6]}
    (folder / "preprocessor_config.json").write_text(json.dumps({**content, **preprocessing}))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_the_contract_and_gives_its_own_feature(images, family: str) -> None:
    _, strides, place = FAMILIES[family]
    model = model_of(family)
    backbone = wrap_module(model, "imagenet")
    assert backbone.strides == strides
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []
    side = backbone.preprocess.size
    pixels = images(side)
    given = model((pixels - backbone.mean) / backbone.std)
    tokens = given.last_hidden_state
    expected = {
        "cls": lambda: tokens[:, 0],
        "mean": lambda: tokens.mean(dim=1),
        "pooler": lambda: given.pooler_output.flatten(1),
    }[place]()
    torch.testing.assert_close(backbone(pixels, maps=()).pooled, expected)


@pytest.mark.parametrize("family", ["ViT", "Dinov2WithRegisters", "DINOv3ViT", "SiglipVision", "IJepa"])
def test_the_last_map_is_the_normed_output(images, family: str) -> None:
    model = model_of(family)
    backbone = wrap_module(model, "imagenet")
    pixels = images(backbone.preprocess.size)
    tokens = model((pixels - backbone.mean) / backbone.std).last_hidden_state
    fmap = backbone(pixels).maps[-1].flatten(2).mT
    torch.testing.assert_close(fmap, tokens[:, -fmap.shape[1] :])


def test_maes_encoder_keeps_all_patches_in_order(images) -> None:
    config = transformers.ViTMAEConfig(**PLAIN, decoder_hidden_size=16, decoder_num_attention_heads=2)
    mae = transformers.AutoModel.from_config(config).eval()
    vit = transformers.ViTModel(transformers.ViTConfig(**PLAIN), add_pooling_layer=False).eval()
    vit.load_state_dict(mae.state_dict())
    pixels = images(64)
    found, expected = wrap_module(mae, "imagenet")(pixels), wrap_module(vit, "imagenet")(pixels)
    torch.testing.assert_close(found.pooled, expected.pooled)
    torch.testing.assert_close(found.maps[-1], expected.maps[-1])


def test_a_whole_clip_gives_its_projected_image_feature(images) -> None:
    text = {**VIT, "vocab_size": 50, "eos_token_id": 1, "bos_token_id": 0, "pad_token_id": 2}
    config = transformers.CLIPConfig(text_config=text, vision_config=PLAIN, projection_dim=24)
    model = transformers.AutoModel.from_config(config).eval()
    backbone, pixels = wrap_module(model, "clip"), images(64)
    found = model.get_image_features(pixel_values=(pixels - backbone.mean) / backbone.std)
    expected = found if isinstance(found, torch.Tensor) else found.pooler_output
    torch.testing.assert_close(backbone(pixels).pooled, expected)
    assert backbone.dim == 24
    assert not any("text" in name for name, _ in backbone.named_parameters())
    assert [finding for finding in check_backbone(backbone) if finding.problem] == []


def test_a_classifier_is_left_out(images) -> None:
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**PLAIN)).eval()
    backbone = wrap_module(model, "imagenet")
    assert not any("classifier" in name for name, _ in backbone.named_parameters())
    assert backbone(images(64)).pooled.shape == (2, 32)


def test_a_folder_by_name(tmp_path: Path, images) -> None:
    model = model_of("Dinov2")
    folder = folder_of(model, tmp_path / "m", size={"shortest_edge": 80}, crop_size={"height": 70}, resample=2)
    backbone = create_backbone(f"hf:{folder}", trusted=True)
    preprocess = backbone.preprocess
    assert (preprocess.mean, preprocess.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert (preprocess.size, preprocess.crop_pct, preprocess.interpolation) == (70, 70 / 80, "bilinear")
    pixels = images(70)
    expected = model((pixels - backbone.mean) / backbone.std).pooler_output
    torch.testing.assert_close(backbone(pixels).pooled, expected)
    assert (backbone.load_report.missing, backbone.notes, backbone.spec) == ([], (), f"hf:{folder}")
    assert wrap_module(transformers.AutoModel.from_pretrained(folder)).preprocess.mean == (0.1, 0.2, 0.3)


def test_random_weights_are_asked_for_and_said(tmp_path: Path) -> None:
    folder = folder_of(model_of("ViT"), tmp_path / "m", size=64)
    backbone = create_backbone(f"hf:{folder}?pretrained=false&mean=0.5", trusted=True)
    assert backbone.notes == ("random weights (pretrained=false)",)
    assert backbone.preprocess.mean == (0.5, 0.5, 0.5)
    assert backbone.weights_hash() == create_backbone(f"hf:{folder}?pretrained=false", trusted=True).weights_hash()


def test_without_preprocessing_the_normalisation_is_asked_for(tmp_path: Path) -> None:
    model_of("ViT").save_pretrained(tmp_path / "m")
    with pytest.raises(SpecError, match=r"no preprocessor_config\.json.* add \?mean=\.\.\.&std=\.\.\."):
        create_backbone(f"hf:{tmp_path}/m", trusted=True)
    backbone = create_backbone(f"hf:{tmp_path}/m?mean=0.5&std=0.25", trusted=True)
    assert (backbone.preprocess.mean, backbone.preprocess.std, backbone.preprocess.size) == (
        (0.5,) * 3,
        (0.25,) * 3,
        64,
    )
    with pytest.raises(UMTError, match="pass preprocess='imagenet'"):
        wrap_module(model_of("ViT"))


def test_weights_that_are_missing_are_refused(tmp_path: Path) -> None:
    model = model_of("ViT")
    state = {name: value for name, value in model.state_dict().items() if "layernorm.weight" not in name}
    folder = folder_of(model, tmp_path / "m")
    model.save_pretrained(folder, state_dict=state)
    with pytest.raises(UMTError, match=r"do not fit a ViTModel: \d+ are missing, e\.g\. '.*layernorm"):
        create_backbone(f"hf:{folder}", trusted=True)


CODE = """
import torch
from transformers import PretrainedConfig, PreTrainedModel

class OwnConfig(PretrainedConfig):
    model_type = "own_of_nobody"
    patch_size, image_size = 8, 32

class Own(PreTrainedModel):
    config_class = OwnConfig

    def __init__(self, config):
        super().__init__(config)
        self.patches = torch.nn.Conv2d(3, 8, 8, 8)
        self.post_init()

    def forward(self, pixel_values, output_hidden_states=False, return_dict=True):
        from transformers.modeling_outputs import BaseModelOutputWithPooling
        tokens = self.patches(pixel_values).flatten(2).mT
        return BaseModelOutputWithPooling(tokens, tokens.mean(1), hidden_states=(tokens, tokens))
"""


def test_code_beside_the_weights_runs_only_with_trust(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "own.py").write_text(CODE)
    config = {"model_type": "own_of_nobody", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModel": "own.Own"}}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {"patches.weight": torch.ones(8, 3, 8, 8), "patches.bias": torch.zeros(8)}
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(SpecError, match=r"it has code of its own; to run it, add \?trust=true"):
        create_backbone(f"hf:{folder}?mean=0&std=1", trusted=True)
    with pytest.raises(TrustError):
        create_backbone(f"hf:{folder}?mean=0&std=1&trust=true")
    backbone = create_backbone(f"hf:{folder}?mean=0&std=1&trust=true", trusted=True)
    assert backbone.notes == (f"runs the code of {folder}",)
    assert float(backbone(torch.ones(1, 3, 32, 32)).pooled[0, 0]) == pytest.approx(3 * 64)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf:{}?depth=3", "unknown option 'depth'; take trust or pretrained"),
        ("hf:{}/absent", "absent"),
    ],
)
def test_wrong_names_are_one_line(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UMTError) as raised:
        create_backbone(name.format(tmp_path), trusted=True)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_model_of_texts_is_refused() -> None:
    config = transformers.BertConfig(**VIT, vocab_size=10)
    with pytest.raises(UMTError, match="BertModel takes no images; name a vision model"):
        wrap_module(transformers.AutoModel.from_config(config), "imagenet")


def test_without_transformers_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import umt.backbones.adapters.hf_adapter as adapter

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(adapter, "import_module", missing)
    with pytest.raises(PackageError, match=r"pip install 'umt-bench\[hf\]'"):
        create_backbone("hf:a/b", trusted=True)


def test_a_plug_in_may_return_such_a_model(tmp_path: Path) -> None:
    folder = folder_of(model_of("ViT"), tmp_path / "m", size=64)
    (tmp_path / "plug.py").write_text(
        "import transformers\nfrom umt.backbones import backbone_factory\n"
        f"@backbone_factory\ndef build():\n    return transformers.AutoModel.from_pretrained({str(folder)!r})\n"
    )
    backbone = create_backbone(f"{tmp_path}/plug.py:build", trusted=True)
    assert isinstance(backbone, nn.Module)
    assert (backbone.dim, backbone.preprocess.mean) == (32, (0.1, 0.2, 0.3))
