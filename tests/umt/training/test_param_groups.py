"""Layer-wise learning rates against timm's own groups, and against MAE's formula."""

from __future__ import annotations

import pytest
import timm
from timm.optim import param_groups_layer_decay
from torch import nn

from umt.backbones import create_backbone
from umt.training.param_groups import layer_decay_groups

Settings = dict[str, tuple[float, float]]  # parameter -> learning rate, weight decay


def ours(spec: str, layer_decay: float = 0.75) -> Settings:
    backbone = create_backbone(spec)
    head = nn.Linear(backbone.dim, 5)
    groups = layer_decay_groups(backbone, head, lr=2.0, weight_decay=0.05, layer_decay=layer_decay)
    names = {id(value): name.removeprefix("model.") for name, value in backbone.named_parameters()}
    names |= {id(value): f"head.{name}" for name, value in head.named_parameters()}
    return {names[id(value)]: (group["lr"], group["weight_decay"]) for group in groups for value in group["params"]}


def timms(name: str, classifier: str) -> Settings:
    model = timm.create_model(name, num_classes=5)
    undecayed = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    groups = param_groups_layer_decay(model, 0.05, no_weight_decay_list=undecayed, layer_decay=0.75)
    names = {id(value): name.replace(f"{classifier}.", "head.") for name, value in model.named_parameters()}
    return {
        names[id(value)]: (2.0 * group["lr_scale"], group["weight_decay"])
        for group in groups
        for value in group["params"]
    }


@pytest.mark.parametrize(
    ("name", "classifier"),
    [
        ("vit_tiny_patch16_224", "head"),
        ("convnext_atto", "head.fc"),
        ("resnet18", "fc"),
        ("mobilenetv3_small_050", "classifier"),
    ],
)
def test_groups_equal_timms(name: str, classifier: str) -> None:
    """But for a ViT's last norm, which timm counts to the last block and MAE to the head."""
    found, expected = ours(f"timm:{name}?pretrained=false"), timms(name, classifier)
    assert found.keys() == expected.keys()
    for parameter, values in expected.items():
        if parameter.startswith("norm."):
            values = (values[0] / 0.75, values[1])
        assert found[parameter] == pytest.approx(values, rel=1e-12), parameter


def test_vit_follows_maes_formula() -> None:
    """12 blocks: the embedding is layer 0, block i layer i + 1, the head layer 13 with the full rate."""
    rates = {name: lr / 2 for name, (lr, _) in ours("timm:vit_tiny_patch16_224?pretrained=false").items()}
    assert rates["head.weight"] == 1
    assert rates["patch_embed.proj.weight"] == pytest.approx(0.75**13)
    assert rates["blocks.0.attn.qkv.weight"] == pytest.approx(0.75**12)
    assert rates["blocks.11.mlp.fc2.weight"] == pytest.approx(0.75)
    assert rates["norm.weight"] == rates["norm.bias"] == 1


@pytest.mark.parametrize(
    ("spec", "last"),
    [
        ("timm:vit_tiny_patch16_224?pretrained=false&global_pool=avg", "fc_norm"),
        ("timm:test_convnext?pretrained=false", "head.norm"),
        ("timm:mobilenetv3_small_050?pretrained=false", "conv_head"),
        ("open_clip:ViT-B-32?pretrained=false&size=64", "visual.ln_post"),
    ],
)
def test_what_is_behind_the_last_block_learns_as_the_head_does(spec: str, last: str) -> None:
    """MAE's layer of a name that is neither of the embedding nor of a block; timm's, for all but a ViT's norm."""
    rates = {name: lr for name, (lr, _) in ours(spec).items()}
    assert {lr for name, lr in rates.items() if name.startswith(last)} == {2.0} == {rates["head.weight"]}
    assert max(lr for name, lr in rates.items() if any(part.isdigit() for part in name.split("."))) == 1.5


def test_what_is_not_decayed() -> None:
    decays = {name: decay for name, (_, decay) in ours("timm:vit_tiny_patch16_224?pretrained=false").items()}
    assert {decays[name] for name in ("pos_embed", "cls_token", "blocks.0.norm1.weight", "head.bias")} == {0.0}
    assert {decays[name] for name in ("head.weight", "blocks.0.attn.qkv.weight")} == {0.05}


def test_frozen_parameters_are_left_out() -> None:
    backbone = create_backbone("timm:resnet10t?pretrained=false")
    backbone.requires_grad_(False)
    groups = layer_decay_groups(backbone, nn.Linear(512, 2), lr=1, weight_decay=0.1, layer_decay=0.5)
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(1, 0.1), (1, 0.0)]


def test_without_layer_decay_every_rate_is_the_same() -> None:
    assert {lr for lr, _ in ours("timm:resnet10t?pretrained=false", layer_decay=1.0).values()} == {2.0}
