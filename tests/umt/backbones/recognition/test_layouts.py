"""Each layout, recognised from the file alone: its features are those of the model that it was written from."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torch.nn import functional

from umt.backbones import Backbone, create_backbone
from umt.errors import UMTError

State = Mapping[str, Tensor]
IMAGENET, HALF, CLIP = 0.485, 0.5, 0.48145466
TOLERANCE = 1e-3  # share of the largest feature
HEAD = ("head.mlp.0.weight", "head.last_layer.weight_g")
DINO_HEADS = ("dino_head.mlp.0.weight", "ibot_head.last_layer.weight_g")


def shaken(model: nn.Module, seed: int = 1) -> nn.Module:
    """In eval mode, with statistics and scales that are not those of every fresh model."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.is_floating_point() and not name.endswith("relative_coords_table"):  # which no training changes
                noise = torch.rand if name.endswith("var") else torch.randn
                value.add_(0.05 * noise(value.shape, generator=generator))
    model.eval()
    return model


def vit(name: str = "vit_base_patch16_224", **options: Any) -> nn.Module:
    torch.manual_seed(0)
    small = {"num_classes": 0, "img_size": 64, "embed_dim": 384, "num_heads": 6, "depth": 2}
    return shaken(timm.create_model(name, **{**small, **options}))


def under(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def zeros(*names: str) -> dict[str, Tensor]:
    return {name: torch.zeros(2) for name in names}


def copied(state: State, scale: float = 1) -> dict[str, Tensor]:
    return {name: value * scale if value.is_floating_point() else value.clone() for name, value in state.items()}


def headless(model: nn.Module, head: str) -> nn.Module:
    setattr(model, head, nn.Identity())
    return model


@torch.no_grad()
def assert_same(backbone: Backbone, reference: Callable[[Tensor], Tensor], height: int = 64, width: int = 64) -> None:
    """Compare the global features of two images with those of the reference for normalised images."""
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    expected = reference((images - backbone.mean) / backbone.std)
    found = backbone(images).pooled
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


def evidence(backbone: Backbone) -> Mapping[str, str]:
    found: Mapping[str, str] = backbone.provenance["checkpoint"]
    return found


def mae(model: nn.Module) -> object:
    rest = ("decoder_embed.weight", "decoder_pos_embed", "decoder_blocks.0.norm1.weight", "mask_token")
    return {"model": {**model.state_dict(), **zeros(*rest)}, "optimizer": {}, "args": Namespace(mask_ratio=0.75)}


def mae_finetuned(model: nn.Module) -> object:
    args = Namespace(blr=1e-3, finetune="pre.pth", global_pool=True)
    return {"model": {**model.state_dict(), **zeros("head.weight", "head.bias")}, "args": args}


def moco_v3(model: nn.Module) -> object:
    state = {**model.state_dict(), **zeros("head.0.weight", "head.1.weight")}
    encoders = {**under("module.base_encoder.", state), **under("module.momentum_encoder.", copied(state, 0))}
    return {"arch": "vit_small", "state_dict": {**encoders, **zeros("module.predictor.0.weight")}}


def dino(model: nn.Module) -> object:
    """The training of DINO; iBOT adds `masked_embed` to the student's backbone."""
    student = {**copied(model.state_dict(), 0), **zeros("masked_embed")}
    return {
        "student": {**under("module.backbone.", student), **under("module.", zeros(*HEAD))},
        "teacher": {**under("backbone.", model.state_dict()), **zeros(*HEAD)},
        "args": Namespace(arch="vit_small", patch_size=16),
    }


def i_jepa(model: nn.Module) -> object:
    encoder = under("module.", model.state_dict())
    return {
        "encoder": copied(encoder, 0),
        "target_encoder": encoder,
        "predictor": zeros("module.predictor_embed.weight"),
    }


def msn(model: nn.Module) -> object:
    encoder = under("module.", {**model.state_dict(), **zeros("fc.fc1.weight")})
    return {"encoder": copied(encoder, 0), "target_encoder": encoder, "prototypes": torch.zeros(2), "epoch": 1}


VITS: Mapping[str, tuple[str, Callable[[nn.Module], object], dict[str, Any]]] = {
    "MAE": ("MAE, pretraining", mae, {}),
    "MAE fine-tuned": ("MAE, fine-tuned", mae_finetuned, {"global_pool": "avg", "fc_norm": True}),
    "MoCo v3": ("MoCo v3", moco_v3, {"num_heads": 12}),
    "DINO": ("DINO or iBOT, training", dino, {}),
    "I-JEPA": ("I-JEPA", i_jepa, {"class_token": False, "global_pool": "avg", "fc_norm": False}),
    "MSN": ("MSN", msn, {}),
    "UNIC": ("UNIC, without LayerScale", lambda model: unic(model), {}),
}


@pytest.mark.parametrize("name", VITS)
def test_self_supervised_vits(loaded: Callable[..., Backbone], name: str) -> None:
    layout, content, options = VITS[name]
    model = vit(**options)
    backbone = loaded(content(model))
    assert evidence(backbone)["layout"].startswith(layout)
    assert (backbone.preprocess.mean[0], backbone.preprocess.size) == (IMAGENET, 64)
    assert_same(backbone, model)


def dinov2_names(model: nn.Module, chunk: int = 0) -> dict[str, Tensor]:
    """The names of DINOv2's code; with FSDP, blocks lie in chunks of `chunk` blocks."""
    state = {**model.state_dict(), "mask_token": torch.zeros(1, 384)}
    if not chunk:
        return state
    parts = {name: name.split(".") for name in state}
    return {
        ".".join([*part[:1], str(int(part[1]) // chunk), *part[1:]]) if part[0] == "blocks" else name: state[name]
        for name, part in parts.items()
    }


def dinov2_training(model: nn.Module) -> object:
    state = dinov2_names(model, chunk=1)
    branches = {**under("student.backbone.", copied(state, 0)), **under("teacher.backbone.", state)}
    return {"model": {**branches, **under("student.", zeros(*DINO_HEADS)), **under("teacher.", zeros(*DINO_HEADS))}}


def proteus(model: nn.Module) -> object:
    state, heads = dinov2_names(model), zeros("patch_head.0.weight", "token_head.0.weight", "fea_head.0.weight")
    return {"model": {**under("student.backbone.", state), **under("teacher.backbone.", copied(state, 0)), **heads}}


def unic(model: nn.Module) -> object:
    state = {**under("encoder.", dinov2_names(model, chunk=2)), **zeros("lp.heads.dino.cls.0.fc.weight")}
    return {"model": state, "args": Namespace(arch="vit_base")}


DINOV2: Mapping[str, tuple[str, Callable[[nn.Module], object]]] = {
    "hub": ("DINOv2", dinov2_names),
    "teacher": ("DINOv2", lambda model: {"teacher": {**under("backbone.", dinov2_names(model)), **zeros(*DINO_HEADS)}}),
    "training": ("DINOv2", dinov2_training),
    "Proteus": ("Proteus", proteus),
    "UNIC": ("UNIC", unic),
}


@pytest.mark.parametrize("name", DINOV2)
def test_dinov2_and_what_is_made_of_it(loaded: Callable[..., Backbone], name: str) -> None:
    layout, content = DINOV2[name]
    model = vit("vit_small_patch14_dinov2", img_size=70)
    backbone = loaded(content(model))
    assert evidence(backbone)["layout"].startswith(layout)
    assert_same(backbone, model, 70, 70)


def test_dinov2_resamples_its_positions_with_an_offset(loaded: Callable[..., Backbone]) -> None:
    """Against its formula: bicubic, not antialiased, by the factor (cells + 0.1) / side."""
    model = vit("vit_small_patch14_dinov2", img_size=70)
    grid = model.pos_embed[:, 1:].reshape(1, 5, 5, 384).permute(0, 3, 1, 2)
    table = functional.interpolate(grid, scale_factor=(3.1 / 5, 4.1 / 5), mode="bicubic").flatten(2).mT
    other = vit("vit_small_patch14_dinov2", img_size=(42, 56))
    cls = model.pos_embed[:, :1]
    other.load_state_dict({**model.state_dict(), "pos_embed": torch.cat([cls, table], dim=1)})
    assert_same(loaded(dinov2_names(model)), other, 42, 56)


def test_dinov2_with_registers(loaded: Callable[..., Backbone]) -> None:
    """Its code adds the first position to the class token, and none to the registers."""
    model = vit("vit_small_patch14_reg4_dinov2", img_size=70)
    state = dinov2_names(model)
    first = torch.full((1, 1, 384), 0.1)
    state["register_tokens"] = state.pop("reg_token")
    state["pos_embed"] = torch.cat([first, state["pos_embed"]], dim=1)
    state["cls_token"] = state["cls_token"] - first
    assert_same(loaded(state), model, 70, 70)


@pytest.mark.parametrize("bias", [False, True])
def test_dinov3(loaded: Callable[..., Backbone], bias: bool) -> None:
    """The hub's files have biases of zeros; own training leaves others. The feature is the class token."""
    small = {"num_classes": 0, "embed_dim": 128, "num_heads": 2, "depth": 2, "global_pool": "token"}
    torch.manual_seed(0)
    model = shaken(timm.create_model("vit_small_patch16_dinov3_qkvb", **small))
    state = {name.replace("gamma_", "ls"): value for name, value in model.state_dict().items()}
    state = {f"{name}.gamma" if name[-3:-1] == "ls" else name: value for name, value in state.items()}
    state |= {"storage_tokens": state.pop("reg_token"), "mask_token": torch.zeros(1, 128)}
    state |= zeros("rope_embed.periods", "local_cls_norm.weight")
    for block in range(2):
        query, value = (state.pop(f"blocks.{block}.attn.{part}_bias") for part in "qv")
        if not bias:
            query.zero_()
            value.zero_()
        state[f"blocks.{block}.attn.qkv.bias"] = torch.cat([query, torch.ones(128), value])
        state[f"blocks.{block}.attn.qkv.bias_mask"] = torch.ones(384)
    backbone = loaded({"teacher": {**under("backbone.", state), **zeros(*DINO_HEADS)}} if bias else state)
    assert evidence(backbone)["layout"].startswith("DINOv3 ViT")
    assert_same(backbone, model)
    unmasked = {name: value for name, value in state.items() if not name.endswith("bias_mask")}
    with pytest.raises(UMTError, match=r"no place in the model: 'blocks\.0\.attn\.k_bias'"):
        loaded(unmasked)


def test_the_evidence_says_where_each_option_comes_from(loaded: Callable[..., Backbone]) -> None:
    content = next(iter(DINOV2.values()))[1]
    backbone = loaded(content(vit("vit_small_patch14_dinov2", img_size=70)), "?drop_path_rate=0.1")
    architecture = evidence(backbone)["architecture"]
    read, layout, typed = architecture.partition(" with ")[2].split("; ")
    assert read.endswith("from the shapes")
    assert "depth 2" in read
    assert layout == "positions dinov2, as the layout has it"
    assert typed.startswith("drop_path_rate 0.1, as you say")


TORCHVISION: Mapping[str, tuple[Callable[..., nn.Module], str, dict[str, Any]]] = {
    "ResNet-18": (tv.resnet18, "fc", {}),
    "ResNet-50": (tv.resnet50, "fc", {}),
    "ResNeXt-50": (tv.resnext50_32x4d, "fc", {}),
    "Wide ResNet-50": (tv.wide_resnet50_2, "fc", {}),
    "ConvNeXt": (tv.convnext_tiny, "classifier.2", {}),
    "ViT": (tv.vit_b_16, "heads", {"image_size": 64}),
    "Swin": (tv.swin_t, "head", {}),
    "Swin V2": (tv.swin_v2_t, "head", {}),
    "MobileNetV2": (tv.mobilenet_v2, "classifier", {}),
    "MobileNetV3, large": (tv.mobilenet_v3_large, "classifier.3", {}),
    "MobileNetV3, small": (tv.mobilenet_v3_small, "classifier.3", {}),
    "RegNetY-400M": (tv.regnet_y_400mf, "fc", {}),
    "RegNetY-800M": (tv.regnet_y_800mf, "fc", {}),
    "RegNetX-1.6G": (tv.regnet_x_1_6gf, "fc", {}),
    "EfficientNet-B0": (tv.efficientnet_b0, "classifier", {}),
    "EfficientNet-B1": (tv.efficientnet_b1, "classifier", {}),
    "EfficientNet-B5": (tv.efficientnet_b5, "classifier", {}),
    "EfficientNetV2-S": (tv.efficientnet_v2_s, "classifier", {}),
    "EfficientNetV2-M": (tv.efficientnet_v2_m, "classifier", {}),
    "EfficientNetV2-L": (tv.efficientnet_v2_l, "classifier", {}),
}
TORCHVISION_SIDES = {"Swin": (224, 224), "Swin V2": (256, 256)}


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(loaded: Callable[..., Backbone], name: str) -> None:
    make, head, options = TORCHVISION[name]
    torch.manual_seed(0)
    model = shaken(make(**options))
    state = copied(model.state_dict())
    outer, _, inner = head.partition(".")
    headless(getattr(model, outer), inner) if inner else headless(model, outer)
    backbone = loaded(state)
    assert backbone.preprocess.mean[0] == (0.5 if name == "EfficientNetV2-L" else IMAGENET)
    assert_same(backbone, model, *TORCHVISION_SIDES.get(name, (64, 64)))


def torchvision_reference(state: State) -> object:
    average = {**under("module.", state), "n_averaged": torch.tensor(3)}
    return {"model": copied(state, 0), "model_ema": average, "optimizer": {}, "args": Namespace()}


def moco_v2(state: State) -> object:
    encoders = {**under("module.encoder_q.", state), **under("module.encoder_k.", copied(state, 0))}
    return {"arch": "resnet18", "state_dict": {**encoders, **zeros("module.queue", "module.queue_ptr")}}


def swav(state: State) -> object:
    return {**under("module.", state), **zeros("module.projection_head.0.weight", "module.prototypes.weight")}


def solo_learn(state: State) -> object:
    rest = zeros("projector.0.weight", "classifier.weight", "momentum_projector.0.weight", "predictor.0.weight")
    branches = {**under("backbone.", state), **under("momentum_backbone.", copied(state, 0))}
    return {"state_dict": {**branches, **rest}, "hyper_parameters": {}, "pytorch-lightning_version": "2.1"}


def dino_resnet(state: State) -> object:
    return {
        "teacher": {**under("backbone.", state), **zeros(*HEAD)},
        "student": {**under("module.backbone.", copied(state, 0)), **under("module.", zeros(*HEAD))},
    }


def spark_resnet(state: State) -> object:
    rest = zeros(
        "dense_decoder.dec.0.up_sample.weight", "densify_norms.0.weight", "mask_tokens.0", "imn_m", "norm_black"
    )
    return {"module": {**under("sparse_encoder.sp_cnn.", state), **rest, "config": {"mask_ratio": 0.6}}}


@pytest.mark.parametrize("content", [torchvision_reference, moco_v2, swav, solo_learn, dino_resnet, spark_resnet])
def test_trainings_of_resnets(loaded: Callable[..., Backbone], content: Callable[[State], object]) -> None:
    torch.manual_seed(0)
    model = shaken(tv.resnet18())
    state = {name: value for name, value in copied(model.state_dict()).items() if not name.startswith("fc.")}
    backbone = loaded(content(state))
    assert backbone.architecture == "resnet18"
    assert_same(backbone, headless(model, "fc"))


CONVNEXT_NAMES = (
    ("stem.", "downsample_layers.0."),
    ("stages.1.downsample.", "downsample_layers.1."),
    ("stages.2.downsample.", "downsample_layers.2."),
    ("stages.3.downsample.", "downsample_layers.3."),
    (".blocks.", "."),
    (".conv_dw.", ".dwconv."),
    (".mlp.fc", ".pwconv"),
    (".mlp.grn.weight", ".grn.gamma"),
    (".mlp.grn.bias", ".grn.beta"),
    ("head.norm.", "norm."),
)


def convnext(name: str = "convnext_tiny") -> tuple[nn.Module, dict[str, Tensor]]:
    """A model of timm, and its weights under the names of its authors."""
    torch.manual_seed(0)
    model = shaken(timm.create_model(name, num_classes=0, depths=[1, 1, 2, 1], dims=[8, 16, 32, 64]))
    state = {}
    for new, value in model.state_dict().items():
        for timms, authors in CONVNEXT_NAMES:
            new = new.replace(timms, authors)
        state[new] = value
    return model, state


@pytest.mark.parametrize("name", ["convnext_tiny", "convnextv2_tiny"])
def test_convnext_in_its_authors_names(loaded: Callable[..., Backbone], name: str) -> None:
    model, state = convnext(name)
    assert {"downsample_layers.0.0.weight", "stages.2.1.dwconv.weight", "norm.weight"} <= state.keys()
    assert_same(loaded({"model": {**state, **zeros("head.weight", "head.bias")}}), model)


def test_dinov3_convnext(loaded: Callable[..., Backbone]) -> None:
    model, state = convnext()
    backbone = loaded({**state, "norms.3.weight": state["norm.weight"], "norms.3.bias": state["norm.bias"]})
    assert evidence(backbone)["layout"].startswith("DINOv3 ConvNeXt")
    assert_same(backbone, model)


@pytest.mark.parametrize("wrap", [dict, lambda state: {"module": under("sparse_encoder.sp_cnn.", state)}])
def test_spark_convnext_has_no_final_norm(loaded: Callable[..., Backbone], wrap: Callable[[State], object]) -> None:
    """Its released files are bare, without a head; one with a head has lost its norm, and is refused."""
    model, state = convnext()
    nn.init.ones_(model.head.norm.weight)
    nn.init.zeros_(model.head.norm.bias)
    part = {name: value for name, value in state.items() if not name.startswith("norm.")}
    backbone = loaded(wrap(part))
    assert "SparK's pretraining has no final norm" in evidence(backbone)["tensors"]
    assert_same(backbone, model)
    with pytest.raises(UMTError, match=r"read as ConvNeXt.* not in the file: 'head\.norm\.bias'"):
        loaded({**part, **zeros("head.weight", "head.bias")})


def test_timm_training(loaded: Callable[..., Backbone]) -> None:
    """Its averaged weights by default, its last ones on request; its normalisation, or that of its arguments."""
    torch.manual_seed(0)
    model = shaken(timm.create_model("vit_tiny_patch16_224", num_classes=0, depth=12))
    state = {**model.state_dict(), **zeros("head.weight", "head.bias")}
    content = {"epoch": 1, "arch": "vit_tiny_patch16_224", "version": 2, "args": Namespace(mean=None, std=None)}
    content |= {"state_dict": copied(state, 0.5), "state_dict_ema": state}
    backbone = loaded(content)
    assert (backbone.architecture, backbone.preprocess.mean[0]) == ("vit_tiny_patch16_224", HALF)
    assert evidence(backbone)["weights"] == "averaged weights (EMA)"
    assert "weights_of=last" in evidence(backbone)["also there"]
    assert_same(backbone, model, 224, 224)
    last = loaded(content, "?weights_of=last")
    torch.testing.assert_close(last.model.norm.bias, 0.5 * model.norm.bias)
    content["args"] = Namespace(mean=[0.1, 0.2, 0.3], std=[0.4, 0.5, 0.6], interpolation="bilinear", crop_pct=0.9)
    stated = loaded(content).preprocess
    assert (stated.mean, stated.std, stated.interpolation) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bilinear")
    assert stated.crop_pct == 0.9


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod.", "_forward_module.model.", "net.backbone."])
def test_wrappers_of_trainings(loaded: Callable[..., Backbone], prefix: str) -> None:
    """DDP, torch.compile, DeepSpeed, Lightning, with a criterion and facts among the hyper-parameters."""
    model = vit()
    facts = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "num_heads": 6}
    state = {**under(prefix, model.state_dict()), **zeros("criterion.weight")}
    backbone = loaded({"state_dict": state, "hyper_parameters": facts})
    assert backbone.preprocess.mean[0] == HALF
    assert_same(backbone, model)


def test_several_networks_are_told_apart_by_part(loaded: Callable[..., Backbone]) -> None:
    one, other = vit(), vit(depth=3)
    content = {"state_dict": {**under("left.", one.state_dict()), **under("right.", other.state_dict())}}
    options = "mean=0.5&std=0.5&num_heads=6"
    with pytest.raises(UMTError, match=r"several models.*part=state_dict\.left or part=state_dict\.right"):
        loaded(content, f"?{options}")
    assert_same(loaded(content, f"?{options}&part=state_dict.right"), other)


def test_what_no_file_can_tell_is_asked_for(loaded: Callable[..., Backbone]) -> None:
    with pytest.raises(UMTError, match=r"add mean=\[0\.485.*or mean=0\.5&std=0\.5; .* add num_heads=6"):
        loaded(vit().state_dict())
    assert_same(loaded(vit().state_dict(), "?mean=0.5&std=0.5&num_heads=6"), vit())
    mean = vit(global_pool="avg", fc_norm=False)
    assert_same(loaded(mean.state_dict(), "?mean=0.5&std=0.5&num_heads=6&pool=mean"), mean)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ViT-S-32-alt", "RN50"])
def test_clip(loaded: Callable[..., Backbone], name: str) -> None:
    """OpenAI's archives hold their sizes, and have QuickGELU; a bare file does not tell its activation."""
    torch.manual_seed(0)
    model = shaken(open_clip.create_model(name))
    quick = open_clip.create_model(name, force_quick_gelu=True).eval()
    quick.load_state_dict(model.state_dict())
    sizes = {name: torch.tensor(224) for name in ("input_resolution", "context_length", "vocab_size")}
    backbone = loaded({**model.state_dict(), **sizes})
    assert (backbone.architecture, backbone.preprocess.mean[0]) == (name, CLIP)
    assert_same(backbone, quick.encode_image, 224, 224)
    if name != "RN50":  # whose image tower has ReLU
        with pytest.raises(UMTError, match="add force_quick_gelu=true for those of OpenAI, or =false"):
            loaded(model.state_dict())
    trained = {"epoch": 1, "state_dict": under("module.", model.state_dict())}
    assert_same(loaded(trained, "?force_quick_gelu=false"), model.encode_image, 224, 224)


SMALL = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
MLP = {"intermediate_size": 256}
PYRAMID = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}
HUGGING_FACE: Mapping[str, tuple[str, str, dict[str, Any], int]] = {
    "ViT": ("ViTModel", "cls", {**SMALL, **MLP, "image_size": 64, "patch_size": 16}, 64),
    "DeiT": ("DeiTModel", "both", {**SMALL, **MLP, "image_size": 64, "patch_size": 16}, 64),
    "DINOv2": ("Dinov2Model", "cls", {**SMALL, "image_size": 70, "patch_size": 14}, 70),
    "DINOv2 registers": ("Dinov2WithRegistersModel", "cls", {**SMALL, "image_size": 70, "patch_size": 14}, 70),
    "DINOv3": ("DINOv3ViTModel", "cls", {**SMALL, **MLP, "image_size": 64, "num_register_tokens": 4}, 64),
    "DINOv3 gated": (
        "DINOv3ViTModel",
        "cls",
        {**SMALL, **MLP, "image_size": 64, "num_register_tokens": 4, "use_gated_mlp": True, "hidden_act": "silu"},
        64,
    ),
    "DINOv3 ConvNeXt": ("DINOv3ConvNextModel", "pooler", PYRAMID, 64),
    "ConvNeXt": ("ConvNextModel", "pooler", PYRAMID, 64),
    "ConvNeXt V2": ("ConvNextV2Model", "pooler", PYRAMID, 64),
    "ResNet": ("ResNetModel", "pooler", {}, 64),
    "Swin": ("SwinModel", "pooler", {"image_size": 224}, 224),
    "SigLIP": ("SiglipVisionModel", "pooler", {**SMALL, **MLP, "image_size": 64, "patch_size": 16}, 64),
    "CLIP": ("CLIPVisionModel", "pooler", {**SMALL, **MLP, "image_size": 64, "patch_size": 16}, 64),
    "CLIP, GELU": (
        "CLIPVisionModel",
        "pooler",
        {**SMALL, **MLP, "image_size": 64, "patch_size": 16, "hidden_act": "gelu"},
        64,
    ),
}


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_hugging_face(planned: Callable[[str], Backbone], tmp_path: Path, name: str) -> None:
    transformers = pytest.importorskip("transformers")
    model_class, feature, options, side = HUGGING_FACE[name]
    kind = getattr(transformers, model_class)
    torch.manual_seed(0)
    model = shaken(kind(kind.config_class(**options)))
    model.save_pretrained(tmp_path / "model")
    processor = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "resample": 2, "crop_size": side}
    (tmp_path / "model/preprocessor_config.json").write_text(json.dumps(processor))
    backbone = planned(str(tmp_path / "model"))
    assert backbone.preprocess.mean == (0.4, 0.5, 0.6), "what the folder says comes before what the family has"
    assert (backbone.preprocess.interpolation, backbone.preprocess.size) == ("bilinear", side)

    def reference(images: Tensor) -> Tensor:
        output = model(pixel_values=images)
        tokens = {"cls": slice(1), "both": slice(2)}  # DeiT's class and distillation token
        pooled = feature not in tokens
        given = output.pooler_output.flatten(1) if pooled else output.last_hidden_state[:, tokens[feature]].mean(1)
        assert isinstance(given, Tensor)
        return given

    assert_same(backbone, reference, side, side)


def timm_pooled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    return lambda images: model.forward_head(model.forward_features(images), pre_logits=True)


def test_deit(loaded: Callable[..., Backbone]) -> None:
    distilled = vit("deit_small_distilled_patch16_224")
    backbone = loaded({"model": {**distilled.state_dict(), **zeros("head.weight", "head_dist.weight")}})
    assert evidence(backbone)["layout"].startswith("DeiT, distilled")
    assert_same(backbone, timm_pooled(distilled))
    args = Namespace(distillation_type="none", repeated_aug=True, model="deit_small_patch16_224")
    assert_same(loaded({"model": vit().state_dict(), "args": args}), vit())


def test_eva_02(loaded: Callable[..., Backbone]) -> None:
    torch.manual_seed(0)
    model = shaken(timm.create_model("eva02_tiny_patch14_224", num_classes=0))
    names = (("mlp.fc1_g", "mlp.w1"), ("mlp.fc1_x", "mlp.w2"), ("mlp.fc2", "mlp.w3"))
    state: dict[str, Tensor] = {**model.state_dict(), **zeros("rope.freqs_cos", "rope.freqs_sin")}
    for timms, authors in names:
        state = {name.replace(timms, authors): value for name, value in state.items()}
    backbone = loaded({"module": state})
    assert (backbone.architecture, backbone.preprocess.mean[0]) == ("eva02_tiny_patch14_224", CLIP)
    assert_same(backbone, model, 224, 224)


def test_swin_in_its_authors_names(loaded: Callable[..., Backbone]) -> None:
    """They reduce at the end of a stage, timm at the start of the next one."""
    torch.manual_seed(0)
    model = shaken(timm.create_model("swin_tiny_patch4_window7_224", num_classes=0))
    state = dict(model.state_dict())
    for stage in (1, 2, 3):
        for name in [name for name in state if name.startswith(f"layers.{stage}.downsample.")]:
            state[name.replace(f"layers.{stage}", f"layers.{stage - 1}")] = state.pop(name)
    state |= zeros("layers.0.blocks.1.attn_mask", "layers.0.blocks.1.attn.relative_position_index", "head.weight")
    assert_same(loaded({"model": state}), model, 224, 224)
    assert_same(loaded(dict(model.state_dict())), model, 224, 224)


V2_BUFFERS = ("relative_coords_table", "relative_position_index")


@pytest.mark.parametrize("trained", [0, 4])
def test_swin_v2_in_its_authors_names(loaded: Callable[..., Backbone], trained: int) -> None:
    """Its tables tell the windows, also those of a training at another size before."""
    torch.manual_seed(0)
    small = {"num_classes": 0, "depths": [1, 1, 1, 1], "pretrained_window_sizes": [trained] * 4}
    model = shaken(timm.create_model("swinv2_tiny_window8_256", **small))
    buffers = {name: value for name, value in model.named_buffers() if name.endswith(V2_BUFFERS)}
    state = {**model.state_dict(), **buffers, **zeros("layers.0.blocks.0.attn_mask", "head.weight")}
    for stage in (1, 2, 3):
        for name in [name for name in state if name.startswith(f"layers.{stage}.downsample.")]:
            state[name.replace(f"layers.{stage}", f"layers.{stage - 1}")] = state.pop(name)
    backbone = loaded({"model": state})
    assert evidence(backbone)["layout"].startswith("Swin V2")
    assert_same(backbone, model, 256, 256)
    own = dict(model.state_dict())
    with pytest.raises(UMTError, match="no file can tell how large its windows are; add window_size=8&img_size=256"):
        loaded(own)
    windows = [trained] * 4
    assert_same(loaded(own, f"?window_size=8&img_size=256&pretrained_window_sizes={windows}"), model, 256, 256)


def test_swin_in_the_names_of_openmmlab(loaded: Callable[..., Backbone]) -> None:
    """Against MMSegmentation's own Swin, which merges cells in the order of torch's unfold, as mmpretrain does."""
    backbones = pytest.importorskip("mmseg.models.backbones")
    torch.manual_seed(0)
    model = shaken(backbones.SwinTransformer(depths=(2, 1, 1, 1), out_indices=(3,)))
    content = {"state_dict": {**under("backbone.", model.state_dict()), **zeros("decode_head.conv_seg.weight")}}
    backbone = loaded(content)
    assert evidence(backbone)["layout"].startswith("OpenMMLab Swin")
    assert_same(backbone, lambda images: model(images)[0].mean((2, 3)), 224, 224)


@pytest.mark.parametrize(
    ("name", "title", "options"),
    [("beit_base_patch16_224", "BEiT", {"depth": 2, "embed_dim": 64, "num_heads": 2}), ("hiera_tiny_224", "Hiera", {})],
)
def test_beit_and_hiera_at_their_own_size_and_another(
    loaded: Callable[..., Backbone], name: str, title: str, options: dict[str, Any]
) -> None:
    """The positions of BEiT are resampled as timm's own filter of checkpoints does it; it has none for Hiera's."""
    torch.manual_seed(0)
    model = shaken(timm.create_model(name, num_classes=0, **options))
    state = dict(model.state_dict())
    content = {"model": {key.replace("head.norm", "norm"): value for key, value in state.items()}}
    backbone = loaded(content, "?mean=0.5&std=0.5&num_heads=2" if title == "BEiT" else "")
    assert evidence(backbone)["layout"].startswith(title)
    assert_same(backbone, timm_pooled(model), 224, 224)
    if title == "Hiera":
        assert backbone(torch.rand(1, 3, 288, 288)).maps[-1].shape[2:] == (9, 9)
        return
    larger = timm.create_model(name, num_classes=0, img_size=288, **options)
    filtered = import_module(type(model).__module__).checkpoint_filter_fn(state, larger)
    larger.load_state_dict(filtered, strict=False)
    assert_same(backbone, timm_pooled(larger.eval()), 288, 288)


MM_VIT = (
    ("blocks.", "layers."), (".norm1.", ".ln1."), (".norm2.", ".ln2."), (".mlp.fc1.", ".ffn.layers.0.0."),
    (".mlp.fc2.", ".ffn.layers.1."), ("patch_embed.proj", "patch_embed.projection"),
)  # fmt: skip
MM_CONFIG = """model = dict(
    data_preprocessor=dict(
        mean=[
            127.5,
            127.5,
            127.5,
        ], std=[51.0, 51.0, 51.0], to_rgb=True))
"""


def test_mmpretrain_vit(loaded: Callable[..., Backbone]) -> None:
    """The normalisation stands in the configuration inside the file, in bytes."""
    model = vit(embed_dim=768, num_heads=12)
    state = {
        f"ln1{name[4:]}" if name.startswith("norm.") else name: value for name, value in model.state_dict().items()
    }
    for timms, authors in MM_VIT:
        state = {name.replace(timms, authors): value for name, value in state.items()}
    content = {"state_dict": {**under("backbone.", state), **zeros("head.layers.head.weight")}}
    backbone = loaded({**content, "meta": {"cfg": MM_CONFIG, "epoch": 3}})
    assert (backbone.preprocess.mean, backbone.preprocess.std) == ((0.5,) * 3, (0.2,) * 3)
    assert_same(backbone, model)
    with pytest.raises(UMTError, match="no file can tell how its images are normalised"):
        loaded(content)


@pytest.mark.parametrize("patch_bias", [True, False])
def test_mmsegmentation_vit(loaded: Callable[..., Backbone], patch_bias: bool) -> None:
    """Against MMSegmentation's own ViT, which has no final norm."""
    backbones = pytest.importorskip("mmseg.models.backbones")
    torch.manual_seed(0)
    model = shaken(
        backbones.VisionTransformer(
            img_size=64,
            embed_dims=768,
            num_layers=2,
            num_heads=12,
            patch_bias=patch_bias,
            output_cls_token=True,
            norm_cfg={"type": "LN", "eps": 1e-6},
        )
    )
    content = {"state_dict": {**under("backbone.", model.state_dict()), **zeros("decode_head.conv_seg.weight")}}
    backbone = loaded({**content, "meta": {"cfg": MM_CONFIG}})
    assert evidence(backbone)["layout"].startswith("MMSegmentation ViT")
    assert_same(backbone, lambda images: model(images)[-1][1])


def test_lightly_train(loaded: Callable[..., Backbone]) -> None:
    """Whole pickled modules, of which the model counts that it exports; and its own normalisation."""
    model, other = vit(embed_dim=192, num_heads=3), vit(embed_dim=192, num_heads=3, depth=3)
    colours = {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}
    models = {"model": model, "wrapped_model": other, "embedding_model": other}
    state = under("method.", other.state_dict())
    backbone = loaded({"lightly_train": {"models": models, "normalize_args": colours}, "state_dict": state})
    assert backbone.preprocess.mean == colours["mean"]
    assert_same(backbone, model)


def jax_vit(model: nn.Module) -> dict[str, np.ndarray]:
    """A ViT as Google's JAX code saves it: kernels with inputs first, heads on an axis of their own."""
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    found = {
        "cls": state["cls_token"],
        "Transformer/posembed_input/pos_embedding": state["pos_embed"],
        "embedding/kernel": state["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": state["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": state["norm.weight"],
        "Transformer/encoder_norm/bias": state["norm.bias"],
        "head/kernel": np.zeros((192, 10), np.float32),
        "head/bias": np.zeros(10, np.float32),
    }
    for block in range(2):
        own, jax = f"blocks.{block}.", f"Transformer/encoderblock_{block}/"
        attention = f"{jax}MultiHeadDotProductAttention_1/"
        for layer, norm in (("LayerNorm_0", "norm1"), ("LayerNorm_2", "norm2")):
            found[f"{jax}{layer}/scale"], found[f"{jax}{layer}/bias"] = (
                state[f"{own}{norm}.{part}"] for part in ("weight", "bias")
            )
        for index, part in enumerate(("query", "key", "value")):
            rows = slice(192 * index, 192 * (index + 1))
            found[f"{attention}{part}/kernel"] = state[f"{own}attn.qkv.weight"][rows].T.reshape(192, 3, 64)
            found[f"{attention}{part}/bias"] = state[f"{own}attn.qkv.bias"][rows].reshape(3, 64)
        found[f"{attention}out/kernel"] = state[f"{own}attn.proj.weight"].T.reshape(3, 64, 192)
        found[f"{attention}out/bias"] = state[f"{own}attn.proj.bias"]
        for index in (0, 1):
            found[f"{jax}MlpBlock_3/Dense_{index}/kernel"] = state[f"{own}mlp.fc{index + 1}.weight"].T
            found[f"{jax}MlpBlock_3/Dense_{index}/bias"] = state[f"{own}mlp.fc{index + 1}.bias"]
    return found


def test_jax_vit(tmp_path: Path) -> None:
    """Also against timm, which reads such files itself."""
    model = vit(embed_dim=192, num_heads=3)
    np.savez(tmp_path / "w.npz", **jax_vit(model))
    backbone = create_backbone(f"{tmp_path}/w.npz")
    assert backbone.preprocess.mean[0] == HALF
    assert_same(backbone, model)
    small = {"img_size": 64, "embed_dim": 192, "num_heads": 3, "depth": 2}
    own = timm.create_model("vit_base_patch16_224", num_classes=10, **small)
    own.load_pretrained(f"{tmp_path}/w.npz")
    for name, value in backbone.model.state_dict().items():
        torch.testing.assert_close(value, own.state_dict()[name])


def test_hugging_face_clip_with_its_projection(planned: Callable[[str], Backbone], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vision = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536}
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=256)
    model = shaken(transformers.CLIPModel(config))
    model.save_pretrained(tmp_path / "model")
    backbone = planned(str(tmp_path / "model"))
    assert (backbone.architecture, backbone.preprocess.mean[0]) == ("ViT-S-32-alt", CLIP)

    def reference(images: Tensor) -> Tensor:
        encoded = model.get_image_features(pixel_values=images)
        given = encoded if isinstance(encoded, Tensor) else encoded.pooler_output
        assert isinstance(given, Tensor)
        return given

    assert_same(backbone, reference, 224, 224)


def test_hugging_face_siglip_with_its_text_tower(planned: Callable[[str], Backbone], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    vision = {**SMALL, **MLP, "image_size": 64, "patch_size": 16}
    text = {**SMALL, **MLP, "projection_size": 128}
    torch.manual_seed(0)
    model = shaken(transformers.SiglipModel(transformers.SiglipConfig(vision_config=vision, text_config=text)))
    model.save_pretrained(tmp_path / "model")
    backbone = planned(str(tmp_path / "model"))
    assert "of text tower" in evidence(backbone)["tensors"]
    assert backbone.preprocess.mean[0] == HALF
    assert_same(backbone, lambda images: model.vision_model(pixel_values=images).pooler_output)


def test_names_that_only_timm_converts(planned: Callable[[str], Backbone], tmp_path: Path) -> None:
    """XCiT's authors have one matrix for queries, keys and values; what timm's converter drops needs a reason, too."""
    torch.manual_seed(0)
    model = shaken(timm.create_model("xcit_nano_12_p16_224", num_classes=0))
    state = dict(model.state_dict())
    for block in (0, 1):
        for part in ("weight", "bias"):
            names = [f"cls_attn_blocks.{block}.attn.{letter}.{part}" for letter in "qkv"]
            state[f"cls_attn_blocks.{block}.attn.qkv.{part}"] = torch.cat([state.pop(name) for name in names])
    torch.save({"model": state}, tmp_path / "w.pth")
    backbone = planned(f"timm:xcit_nano_12_p16_224?weights={tmp_path}/w.pth")
    assert_same(backbone, timm_pooled(model))
    torch.save({"model": {**state, **zeros("gadget.weight")}}, tmp_path / "w.pth")
    with pytest.raises(UMTError, match=r"no place in the model: 'gadget\.weight'"):
        create_backbone(f"timm:xcit_nano_12_p16_224?weights={tmp_path}/w.pth")
