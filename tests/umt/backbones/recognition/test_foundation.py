"""Files of foundation models, each written on the fly under the names of its authors."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from umt.backbones import Backbone, create_backbone
from umt.errors import UMTError

State = Mapping[str, Tensor]
TOLERANCE = 1e-3  # share of the largest feature
MEAN, STD = (0.25, 0.5, 0.75), (0.125, 0.25, 0.5)


def model_of(name: str, **options: Any) -> nn.Module:
    """A small model in eval mode, without a weight that every fresh model has."""
    torch.manual_seed(0)
    model = timm.create_model(name, **{"num_classes": 0, "embed_dim": 128, "num_heads": 2, "depth": 2, **options})
    with torch.no_grad():
        for value in model.state_dict().values():
            value.add_(0.05 * torch.randn(value.shape))
    return model.eval()


def under(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def zeros(*names: str) -> dict[str, Tensor]:
    return {name: torch.zeros(2) for name in names}


def evidence(backbone: Backbone) -> Mapping[str, str]:
    found: Mapping[str, str] = backbone.provenance["checkpoint"]
    return found


@torch.no_grad()
def assert_same(backbone: Backbone, reference: Callable[[Tensor], Tensor], height: int = 64, width: int = 64) -> None:
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0))
    expected = reference((images - backbone.mean) / backbone.std)
    found = backbone(images).pooled
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= TOLERANCE * float(expected.abs().max())


TEACHERS = [{"name": "clip"}, {"name": "siglip"}, {"name": "sam", "use_summary": False}, {"name": "dino_v2"}]
SUMMARY = [0, 1, 3]
CONDITIONER = {
    "input_conditioner.norm_mean": torch.tensor(MEAN).view(3, 1, 1),
    "input_conditioner.norm_std": torch.tensor(STD).view(3, 1, 1),
}


def radio_model(**options: Any) -> nn.Module:
    """A ViT with four class tokens and four registers, and no bias at its patches, for images of 64 pixels."""
    own = {"img_size": 64, "reg_tokens": 7, "no_embed_class": True, "final_norm": False, **options}
    model = model_of("vit_base_patch16_224", **own)
    nn.init.zeros_(model.patch_embed.proj.bias)
    return model


def radio_names(model: nn.Module) -> dict[str, Tensor]:
    state = {name.replace("gamma", "grandma"): value for name, value in model.state_dict().items()}
    del state["patch_embed.proj.bias"]
    tokens = torch.cat([state.pop("cls_token"), state.pop("reg_token")], dim=1)[0]
    patches = {"embedder.weight": state.pop("patch_embed.proj.weight").flatten(1), "cls_token.token": tokens}
    patches["pos_embed"] = state.pop("pos_embed")
    return {**state, **under("patch_generator.", patches)}


def radio_file(model: nn.Module, **args: Any) -> dict[str, Any]:
    """The file of RADIO's code, after its training: the adaptors to the teachers lie beside the model."""
    adaptors = zeros("_heads.0.mlp.fc1.weight", "_feature_projections.dino_v2.mlp.fc1.weight")
    state = {**under("base_model.", radio_names(model)), **CONDITIONER, **adaptors}
    return {"arch": "vit_base_patch16_224", "state_dict": state, "args": Namespace(**{"teachers": TEACHERS, **args})}


def summary_of(model: nn.Module, tokens: list[int]) -> Callable[[Tensor], Tensor]:
    return lambda images: model.forward_features(images)[:, tokens].flatten(1)


@pytest.mark.parametrize(
    ("args", "summary"),
    [({}, SUMMARY), ({"cls_token_per_teacher": False}, [0]), ({"teachers": [*TEACHERS, TEACHERS[0]]}, SUMMARY)],
)
def test_radio(loaded: Callable[..., Backbone], args: dict[str, Any], summary: list[int]) -> None:
    """The global feature is the tokens of the teachers that have a summary, as in the authors' k-NN."""
    model = radio_model(init_values=0.5)
    backbone = loaded(radio_file(model, **args))
    found = evidence(backbone)
    assert found["layout"].startswith("RADIO (")
    assert found["global feature"] == f"summary tokens {summary}, one after the other"
    assert f"summary_tokens {summary}, as the file states" in found["architecture"]
    assert found["tensors"].endswith("left: 2 of adaptor to a teacher, 2 of normalisation of the data")
    assert (backbone.preprocess.mean, backbone.preprocess.std, backbone.preprocess.size) == (MEAN, STD, 512)
    assert_same(backbone, summary_of(model, summary))
    images = torch.rand(1, 3, 64, 64)
    expected = model.forward_features((images - backbone.mean) / backbone.std)[:, 8:]
    torch.testing.assert_close(backbone(images).maps[-1].flatten(2).mT, expected)


@pytest.mark.parametrize(("height", "width"), [(48, 32), (80, 96)])
def test_radio_stretches_its_positions_to_the_longer_side(
    loaded: Callable[..., Backbone], height: int, width: int
) -> None:
    model, other = radio_model(), radio_model(img_size=(height, width))
    rows, columns, longer = height // 16, width // 16, max(height, width) // 16
    grid = model.pos_embed.reshape(1, 4, 4, 128).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(longer, longer), mode="bilinear")[:, :, :rows, :columns]
    other.load_state_dict({**model.state_dict(), "pos_embed": grid.flatten(2).mT})
    assert_same(loaded(radio_file(model)), summary_of(other, SUMMARY), height, width)


def test_radio_without_its_arguments_asks_for_the_summary(loaded: Callable[..., Backbone]) -> None:
    model = radio_model()
    content = under("base_model.", radio_names(model))
    with pytest.raises(UMTError, match=r"tokens are the summary of an image; add summary_tokens=\[0, 1, 2\]"):
        loaded(content)
    backbone = loaded(content, "?summary_tokens=[2]")
    assert backbone.preprocess.mean[0] == pytest.approx(0.48145466)
    assert_same(backbone, summary_of(model, [2]))
    for wrong in ("[8]", "[]", "2"):
        with pytest.raises(UMTError, match="summary_tokens is a list of numbers from 0 to 7"):
            loaded(content, f"?summary_tokens={wrong}")


def test_radio_of_a_dinov2_has_its_norm_and_one_token(loaded: Callable[..., Backbone]) -> None:
    model = radio_model(init_values=0.5, final_norm=True)
    nn.init.normal_(model.patch_embed.proj.bias)
    bias = {"patch_generator.embedder.bias": model.patch_embed.proj.bias.detach()}
    state = under("base_model.inner.", {**radio_names(model), **bias})
    other = {"base_model.input_conditioner.norm_mean": torch.zeros(3, 1, 1)}
    rest = {**other, **CONDITIONER, "base_model.inner.mask_token": torch.zeros(1, 128)}
    backbone = loaded({"state_dict": {**state, **rest}, "args": Namespace(teachers=TEACHERS)})
    assert evidence(backbone)["layout"].startswith("RADIO, from a DINOv2")
    assert backbone.preprocess.mean == MEAN
    assert_same(backbone, summary_of(model, [0]))


def test_radio_with_a_final_norm(loaded: Callable[..., Backbone]) -> None:
    model = radio_model(final_norm=True)
    backbone = loaded(radio_file(model))
    assert evidence(backbone)["layout"].startswith("RADIO, with a final norm")
    assert_same(backbone, summary_of(model, SUMMARY))


def test_radio_in_a_hugging_face_folder(tmp_path: Path) -> None:
    model = radio_model()
    buffers = under("radio_model.", {**CONDITIONER, "summary_idxs": torch.tensor([1, 2])})
    adaptor = zeros("radio_model.adaptors.clip.head_mlp.fc1.weight")
    save_file({**under("radio_model.model.", radio_names(model)), **buffers, **adaptor}, tmp_path / "model.safetensors")
    args = {"model": "vit_base_patch16_224", "teachers": TEACHERS}
    config = {"architectures": ["RADIOModel"], "args": args, "preferred_resolution": [768, 768]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    backbone = create_backbone(str(tmp_path))
    assert (backbone.preprocess.mean, backbone.preprocess.size) == (MEAN, 768)
    assert_same(backbone, summary_of(model, [1, 2]))


def normed(weight: Tensor, number: float, first: bool) -> tuple[Tensor, dict[str, Tensor]]:
    """A matrix with the spectral norm that RADIO's code trains, and the buffers that it saves for it."""
    left, _, right = torch.linalg.svd(weight)
    wanted = torch.tensor([[number]])
    norm = wanted if first else functional.softplus(wanted) + 0.05
    buffers = {"_u": left[:, 0], "_v": right[0], "scale": wanted}
    return weight * norm / torch.linalg.matrix_norm(weight, 2), buffers | (
        {} if first else {"_sn_version": torch.tensor(2)}
    )


@pytest.mark.parametrize("first", [True, False])
def test_radio_while_it_trains_with_spectral_norms(loaded: Callable[..., Backbone], first: bool) -> None:
    """Queries and keys have a norm each, values none; the projection has one for all."""
    model = radio_model()
    content = radio_file(model)
    attention = model.blocks[1].attn
    name = "base_model.blocks.1.attn.{}.parametrizations.weight."
    del content["state_dict"]["base_model.blocks.1.attn.qkv.weight"]
    del content["state_dict"]["base_model.blocks.1.attn.proj.weight"]
    saved: dict[str, Tensor] = {name.format("qkv") + "original": attention.qkv.weight.detach().clone()}
    saved[name.format("proj") + "original"] = attention.proj.weight.detach().clone()
    with torch.no_grad():
        for part, rows in enumerate(attention.qkv.weight[:256].chunk(2)):
            value, buffers = normed(rows.clone(), 1.5 + part, first)
            rows.copy_(value)
            saved |= under(f"{name.format('qkv')}0.parts.{part}.", buffers)
        value, buffers = normed(attention.proj.weight.clone(), 0.5, first)
        attention.proj.weight.copy_(value)
        saved |= under(f"{name.format('proj')}0.", buffers)
    content["state_dict"] |= saved
    assert_same(loaded(content), summary_of(model, SUMMARY))


def test_radio_whose_patches_are_normalised_is_refused(loaded: Callable[..., Backbone]) -> None:
    """The model has no place for what its code does to the map; a user may take the map without it."""
    content = radio_file(radio_model())
    content["state_dict"] |= zeros("_feature_normalizer.mean", "_feature_normalizer.tx")
    with pytest.raises(UMTError, match=r"2 tensors beside the RADIO belong to nothing known: '_feature_normalizer\."):
        loaded(content)
    assert evidence(loaded(content, "?allow=_feature_normalizer"))["allowed"].startswith("_feature_normalizer")


def test_radio_with_a_block_too_few_is_refused(loaded: Callable[..., Backbone]) -> None:
    content = radio_file(radio_model())
    del content["state_dict"]["base_model.blocks.1.mlp.fc2.bias"]
    with pytest.raises(UMTError, match=r"1 tensors of the model are not in the file: 'blocks\.1\.mlp\.fc2\.bias'"):
        loaded(content)


PERCEPTION = (
    ("blocks.", "transformer.resblocks."), (".norm1.", ".ln_1."), (".norm2.", ".ln_2."), (".qkv.", ".in_proj_"),
    (".attn.proj.", ".attn.out_proj."), (".mlp.fc1.", ".mlp.c_fc."), (".mlp.fc2.", ".mlp.c_proj."),
    ("patch_embed.proj.", "conv1."), ("norm_pre.", "ln_pre."), ("attn_pool.proj.", "attn_pool.attn.out_proj."),
    ("attn_pool.latent", "attn_pool.probe"), ("attn_pool.norm.", "attn_pool.layernorm."), (".gamma_", ".ls_"),
)  # fmt: skip


def perception_names(model: nn.Module) -> dict[str, Tensor]:
    state = dict(model.state_dict())
    if "attn_pool.latent" in state:
        for part in ("weight", "bias"):
            rows = [state.pop(f"attn_pool.{rows}.{part}") for rows in ("q", "kv")]
            state[f"attn_pool.attn.in_proj_{part}"] = torch.cat(rows)
        state |= {f"ln_post.{part}": state.pop(f"norm.{part}") for part in ("weight", "bias")}
    if "cls_token" in state:
        state["class_embedding"] = state.pop("cls_token").flatten()
    state["positional_embedding"] = state.pop("pos_embed")[0]
    for timms, authors in PERCEPTION:
        state = {name.replace(timms, authors): value for name, value in state.items()}
    return {f"{name}.gamma" if name[-5:-1] == "ls_" else name: value for name, value in state.items()}


def whole_perception(model: nn.Module) -> dict[str, Tensor]:
    """The file of PE-Core: image and text towers, of which the image tower has a projection to the texts' space."""
    text = ("transformer.resblocks.0.ln_1.weight", "token_embedding.weight", "positional_embedding", "logit_scale")
    return {**under("visual.", {**perception_names(model), **zeros("proj")}), **zeros(*text, "text_projection")}


def perception_model(name: str, **options: Any) -> nn.Module:
    return model_of(name, **{"embed_dim": 192, "num_heads": 3, "depth": 12, "dynamic_img_size": True, **options})


@pytest.mark.parametrize(
    ("name", "content", "layout"),
    [
        ("vit_pe_core_tiny_patch16_384", whole_perception, "Perception Encoder ("),
        ("vit_pe_spatial_tiny_patch16_512", perception_names, "Perception Encoder, Spatial or Lang ("),
    ],
)
def test_perception_encoder(
    loaded: Callable[..., Backbone], name: str, content: Callable[[nn.Module], State], layout: str
) -> None:
    """At another size its table is resampled bilinearly, and its rotations count cells."""
    model = perception_model(name)
    backbone = loaded(content(model))
    assert evidence(backbone)["layout"].startswith(layout)
    assert evidence(backbone)["architecture"].startswith(f"timm:{name} with positions perception")
    side = model.patch_embed.img_size[0]
    shown = backbone.preprocess
    assert (shown.mean[0], shown.std[0], shown.interpolation, shown.crop_pct) == (0.5, 0.5, "bilinear", 1.0)
    assert shown.size == side
    assert_same(
        backbone, lambda images: model.forward_head(model.forward_features(images), pre_logits=True), side, side
    )

    other = perception_model(name, img_size=(64, 96), ref_feat_shape=(4, 6))
    grid = model.pos_embed[:, 1:].reshape(1, side // 16, side // 16, 192).permute(0, 3, 1, 2)
    table = functional.interpolate(grid, size=(4, 6), mode="bilinear").flatten(2).mT
    other.load_state_dict({**model.state_dict(), "pos_embed": torch.cat([model.pos_embed[:, :1], table], dim=1)})
    assert_same(backbone, lambda images: other.forward_head(other.forward_features(images), pre_logits=True), 64, 96)


def test_perception_encoder_without_a_final_norm_is_refused(loaded: Callable[..., Backbone]) -> None:
    state = perception_names(perception_model("vit_pe_core_tiny_patch16_384"))
    for part in ("weight", "bias"):
        del state[f"ln_post.{part}"]
    with pytest.raises(UMTError, match="are of no layout that is known"):
        loaded(state)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vit_base_patch16_224", "positions=perception", "for models of timm's Eva"),
        ("eva02_tiny_patch14_224", "positions=radio", "for models of timm's VisionTransformer"),
        ("vit_base_patch16_224", "positions=radio", "add no_embed_class=true"),
        ("vit_base_patch16_224", "summary_tokens=[0]", "summary_tokens is for ViTs with positions=radio"),
        ("eva02_tiny_patch14_224", "positions=perception&use_rot_pos_emb=false", "models with a table, rotations"),
        ("vit_base_patch16_224", "positions=clip", "positions is dinov2 or radio or perception"),
    ],
)
def test_positions_of_others_are_refused(name: str, options: str, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        create_backbone(f"timm:{name}?pretrained=false&depth=1&{options}")


HF_VIT = (
    ("blocks.", "encoder.layer."), (".norm1.", ".layernorm_before."), (".norm2.", ".layernorm_after."),
    (".attn.proj.", ".attention.output.dense."), (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."), ("patch_embed.proj.", "embeddings.patch_embeddings.projection."),
    ("cls_token", "embeddings.cls_token"), ("pos_embed", "embeddings.position_embeddings"),
)  # fmt: skip


def theia(model: nn.Module) -> dict[str, Tensor]:
    """A ViT of Hugging Face, and the translators that make features of the teachers of its own."""
    state = {f"layer{name}" if name.startswith("norm.") else name: value for name, value in model.state_dict().items()}
    for timms, authors in HF_VIT:
        state = {name.replace(timms, authors): value for name, value in state.items()}
    for name in [name for name in state if ".attn.qkv." in name]:
        rows = zip(("query", "key", "value"), state.pop(name).chunk(3), strict=True)
        state |= {name.replace(".attn.qkv.", f".attention.attention.{part}."): value for part, value in rows}
    translators = zeros(
        "translator.backbone_adapter.adapter.0.weight", "translator.translator_heads.facebook_dinov2-large.0.weight"
    )
    return {**under("backbone.model.", state), **translators}


def test_theia(loaded: Callable[..., Backbone]) -> None:
    """Its authors use the patches, so the global feature is their mean."""
    model = model_of("vit_tiny_patch16_224", embed_dim=192, num_heads=3, img_size=64)
    backbone = loaded(theia(model))
    found = evidence(backbone)
    assert found["layout"].startswith("Theia")
    assert "2 of translator to a teacher" in found["tensors"]
    assert backbone.preprocess.mean[0] == 0.485
    assert_same(backbone, lambda images: model.forward_features(images)[:, 1:].mean(1))


@pytest.mark.parametrize("prefix", ["", "module."])
def test_dune(loaded: Callable[..., Backbone], prefix: str) -> None:
    """Its encoder is a DINOv2 with registers, whose positions are resampled with an offset."""
    model = model_of("vit_small_patch14_dinov2", img_size=70, reg_tokens=4, no_embed_class=True, init_values=0.5)
    state = {name.replace("blocks.", "blocks.0."): value for name, value in model.state_dict().items()}
    state["register_tokens"] = state.pop("reg_token")
    first = torch.full((1, 1, 128), 0.1)
    state |= {"pos_embed": torch.cat([first, state["pos_embed"]], dim=1), "cls_token": state["cls_token"] - first}
    encoder = under("encoder.", {**state, "mask_token": torch.zeros(1, 128)})
    rest = zeros("projectors.mast3r.linear.weight", "teacher_norms.mast3r.normalizers.patch.mean")
    content = {"model": under(prefix, {**encoder, **rest}), "args": Namespace(image_size=70), "iter": 3}
    backbone = loaded(content)
    found = evidence(backbone)
    assert found["layout"].startswith("DUNE")
    assert found["tensors"].endswith("1 of mask token, 1 of projector, 1 of statistics of a teacher")
    assert (backbone.preprocess.mean[0], backbone.preprocess.size) == (0.485, 70)
    assert_same(backbone, model, 70, 70)
    grid = model.pos_embed.reshape(1, 5, 5, 128).permute(0, 3, 1, 2)
    table = functional.interpolate(grid, scale_factor=(3.1 / 5, 4.1 / 5), mode="bicubic").flatten(2).mT
    options = {"img_size": (42, 56), "reg_tokens": 4, "no_embed_class": True, "init_values": 0.5}
    other = model_of("vit_small_patch14_dinov2", **options)
    other.load_state_dict({**model.state_dict(), "pos_embed": table})
    assert_same(backbone, other, 42, 56)


STILL = {"use_pre_transformer_norm": False, "use_post_transformer_norm": True, "use_abs_pos_emb": False}


def video_model() -> nn.Module:
    own = {"class_token": False, "global_pool": "avg", "img_size": 64, "dynamic_img_size": True}
    model = model_of("vit_pe_spatial_base_patch16_512", **STILL, **own)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = 1e-6
    return model


def clip_weight(model: nn.Module) -> Tensor:
    """The patch embedding of clips of two frames, whose sum over the frames is that of the model."""
    weight = model.patch_embed.proj.weight.detach()
    first = torch.randn(weight.shape, generator=torch.Generator().manual_seed(3)) * 0.05
    return torch.stack([first, weight - first], dim=2)


def rotated(heads: Tensor, columns: int) -> Tensor:
    """Rotate pairs of queries or keys [B, heads, N, 64], as the code of V-JEPA 2 does, one pair after the other.

    The frequencies of the two of a pair are not equal: that is a mistake with which the weights are trained.
    """
    result = heads.clone()
    for cell in range(heads.shape[2]):
        for start, number in ((20, cell // columns), (40, cell % columns)):
            for one in range(0, 20, 2):
                first, second = (heads[:, :, cell, start + one + side] for side in (0, 1))
                angles = [torch.tensor(number * 10000 ** -((one + side) % 10 / 10)) for side in (0, 1)]
                result[:, :, cell, start + one] = first * angles[0].cos() - second * angles[0].sin()
                result[:, :, cell, start + one + 1] = second * angles[1].cos() + first * angles[1].sin()
    return result


def video_reference(model: nn.Module, weight: Tensor) -> Callable[[Tensor], Tensor]:
    def forward(images: Tensor) -> Tensor:
        clip = images[:, :, None].repeat(1, 1, 2, 1, 1)
        x = functional.conv3d(clip, weight, model.patch_embed.proj.bias, stride=(2, 16, 16)).flatten(2).mT
        for block in model.blocks:
            qkv = block.attn.qkv(block.norm1(x)).unflatten(2, (3, 2, 64)).permute(2, 0, 3, 1, 4)
            query, key = (rotated(part, images.shape[3] // 16) for part in qkv[:2])
            x = x + block.attn.proj(
                (functional.scaled_dot_product_attention(query, key, qkv[2])).transpose(1, 2).flatten(2)
            )
            x = x + block.mlp(block.norm2(x))
        return model.norm(x).mean(1)

    return forward


def test_vjepa2(loaded: Callable[..., Backbone]) -> None:
    """An image is a clip of two equal frames, at the first moment."""
    model = video_model()
    weight = clip_weight(model)
    state = {**model.state_dict(), "patch_embed.proj.weight": weight}
    names = under("module.backbone.", state)
    content = {
        "encoder": {name: value * 0 for name, value in names.items()},
        "target_encoder": names,
        "predictor": zeros("module.backbone.predictor_embed.weight"),
    }
    backbone = loaded(content)
    assert evidence(backbone)["layout"].startswith("V-JEPA 2, an image as a clip of equal frames")
    assert evidence(backbone)["part"] == "target_encoder.backbone"
    shown = backbone.preprocess
    assert (shown.mean[0], shown.interpolation, shown.crop_pct, shown.size) == (0.485, "bilinear", 0.875, 256)
    assert_same(backbone, video_reference(model, weight))
    assert_same(backbone, video_reference(model, weight), 48, 96)


def test_vjepa2_with_a_table_that_it_may_not_use(loaded: Callable[..., Backbone]) -> None:
    model = video_model()
    weight = clip_weight(model)
    table = {"pos_embed": torch.zeros(1, 32, 128)}
    content = {"encoder": {**model.state_dict(), **table, "patch_embed.proj.weight": weight}}
    with pytest.raises(UMTError, match="if its table of positions is used; add positions=vjepa2 for V-JEPA 2"):
        loaded(content)
    assert_same(loaded(content, "?positions=vjepa2"), video_reference(model, weight))


def test_vjepa2_without_its_final_norm_is_refused(loaded: Callable[..., Backbone]) -> None:
    state = {**video_model().state_dict(), "patch_embed.proj.weight": torch.zeros(128, 3, 2, 16, 16)}
    del state["norm.bias"]
    with pytest.raises(UMTError, match=r"1 tensors of the model are not in the file: 'norm\.bias'"):
        loaded({"target_encoder": under("backbone.", state)})


def test_vjepa2_of_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 128, "num_attention_heads": 2, "num_hidden_layers": 2, "pred_num_hidden_layers": 1}
    torch.manual_seed(0)
    model = transformers.VJEPA2Model(transformers.VJEPA2Config(**small, crop_size=64, frames_per_clip=4)).eval()
    for value in model.state_dict().values():
        value.add_(0.05 * torch.randn(value.shape))
    model.save_pretrained(tmp_path / "model")
    backbone = create_backbone(str(tmp_path / "model"))
    assert evidence(backbone)["layout"].startswith("Hugging Face V-JEPA 2")
    assert_same(backbone, lambda images: model.get_vision_features(images[:, None]).mean(1))


def test_theia_of_transformers(loaded: Callable[..., Backbone], tmp_path: Path) -> None:
    """Its code wraps the ViT of transformers."""
    transformers = pytest.importorskip("transformers")
    small = {"hidden_size": 192, "num_attention_heads": 3, "num_hidden_layers": 2, "intermediate_size": 768}
    torch.manual_seed(0)
    model = transformers.ViTModel(transformers.ViTConfig(**small, image_size=64), add_pooling_layer=False).eval()
    for value in model.state_dict().values():
        value.add_(0.05 * torch.randn(value.shape))
    model.save_pretrained(tmp_path / "model")
    saved = load_file(tmp_path / "model" / "model.safetensors")
    backbone = loaded({**under("backbone.model.", saved), **zeros("translator.backbone_adapter.adapter.0.weight")})
    assert evidence(backbone)["layout"].startswith("Theia")
    assert_same(backbone, lambda images: model(pixel_values=images).last_hidden_state[:, 1:].mean(1))


@pytest.mark.parametrize(
    ("name", "options", "layout"),
    [
        ("ViTModel", {"patch_size": 16, "image_size": 64}, "ViT of transformers 5 ("),
        ("Dinov2Model", {"patch_size": 14, "image_size": 70}, "DINOv2 of transformers 5 ("),
        ("Dinov2Model", {"patch_size": 14, "image_size": 70, "use_swiglu_ffn": True}, "DINOv2 of transformers 5 ("),
        (
            "Dinov2WithRegistersModel",
            {"patch_size": 14, "image_size": 70},
            "DINOv2 of transformers 5, with registers (",
        ),
    ],
)
def test_state_dicts_of_transformers_5(
    loaded: Callable[..., Backbone], name: str, options: dict[str, Any], layout: str
) -> None:
    """They have other names than the folders that it writes."""
    transformers = pytest.importorskip("transformers", minversion="5.20")
    kind = getattr(transformers, name)
    width = 1536 if "use_swiglu_ffn" in options else 384
    small = {"hidden_size": width, "num_attention_heads": width // 64, "num_hidden_layers": 1}
    torch.manual_seed(0)
    model = kind(kind.config_class(**{**small, "intermediate_size": 4 * width, **options})).eval()
    for value in model.state_dict().values():
        value.add_(0.05 * torch.randn(value.shape))
    backbone = loaded({"model": under("backbone.", model.state_dict())}, "?mean=0.5&std=0.5")
    assert evidence(backbone)["layout"].startswith(layout)
    side = options["image_size"]
    assert_same(backbone, lambda images: model(pixel_values=images).last_hidden_state[:, 0], side, side)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("patch_generator.cls_token.token", torch.zeros(128), "not a tensor of 2 axes"),
        ("patch_generator.cls_token.token", torch.zeros(()), "not a tensor of 2 axes"),
        ("patch_generator.embedder.weight", torch.zeros(128, 3, 16, 16), "not a tensor of 2 axes"),
        ("patch_generator.embedder.weight", torch.zeros(128, 100), "100 values, not those of three square channels"),
        ("patch_generator.pos_embed", torch.zeros(1, 18, 128), "18 positions are those of no square grid"),
    ],
)
def test_radio_of_other_shapes_is_refused(
    loaded: Callable[..., Backbone], name: str, value: Tensor, message: str
) -> None:
    content = radio_file(radio_model())
    content["state_dict"][f"base_model.{name}"] = value
    with pytest.raises(UMTError, match=message):
        loaded(content)


@pytest.mark.parametrize("shape", [(128, 3, 16, 16), (128,)])
def test_vjepa2_whose_patches_are_no_clips_is_refused(loaded: Callable[..., Backbone], shape: tuple[int, ...]) -> None:
    state = {**video_model().state_dict(), "patch_embed.proj.weight": torch.zeros(shape)}
    with pytest.raises(UMTError, match="not a tensor of 5 axes"):
        loaded({"target_encoder": under("backbone.", state)})


def test_e_radio_is_named_for_what_it_is(loaded: Callable[..., Backbone]) -> None:
    names = (
        "patch_embed.conv_down.0.conv.weight",
        "levels.0.blocks.cv1.conv.weight",
        "high_res_neck.neck_features_proj.0.conv1.weight",
    )
    with pytest.raises(UMTError, match="refused: it is E-RADIO, and timm has no such architecture; wrap its code"):
        loaded({"state_dict": under("base_model.", zeros(*names)), "args": Namespace(teachers=TEACHERS)})
