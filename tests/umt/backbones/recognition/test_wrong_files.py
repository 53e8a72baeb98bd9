"""Files of another model are refused, with names of both sides; nothing is judged by a share of parameters."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from umt.backbones import create_backbone
from umt.errors import UMTError

State = Mapping[str, Tensor]


def small(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, **options)


def without(pattern: str, state: State) -> dict[str, Tensor]:
    kept = {name: value for name, value in state.items() if not re.search(pattern, name)}
    assert len(kept) < len(state)
    return kept


def dinov2() -> State:
    return small("vit_small_patch14_dinov2", num_classes=0, img_size=70, depth=2).state_dict()


DINOV2 = "vit_small_patch14_dinov2?depth=2&img_size=70&"
WRONG: Mapping[str, tuple[str, Callable[[], State], str]] = {
    "ResNet-101 as 50": ("resnet50?", lambda: small("resnet101").state_dict(), r"no place .*'layer3\.10\.bn1\.bias'"),
    "ConvNeXt-S as T": ("convnext_tiny?", lambda: small("convnext_small").state_dict(), r"no place.*stages\.2\.blocks"),
    "SE-ResNet as ResNet": ("resnet50?", lambda: small("seresnet50").state_dict(), r"no place.*layer1\.0\.se\.fc1"),
    "ConvNeXt V2 as V1": (
        "convnext_atto?",
        lambda: small("convnextv2_atto").state_dict(),
        r"not in the file: 'stages\.0\.blocks\.0\.gamma'.*no place.*mlp\.grn\.bias",
    ),
    "missing LayerScale": (
        DINOV2,
        lambda: without(r"\.ls", dinov2()),
        r"4 tensors .* not in the file: 'blocks\.0\.ls1",
    ),
    "missing final norm": (
        DINOV2,
        lambda: without(r"^norm\.", dinov2()),
        r"not in the file: 'norm\.bias', 'norm\.weight'",
    ),
    "missing patch embedding": (
        DINOV2,
        lambda: without("patch_embed", dinov2()),
        r"not in the file: 'patch_embed\.proj\.bias'",
    ),
    "statistics": ("resnet18?", lambda: without("bn1.running_var", small("resnet18").state_dict()), "running_var"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_files(tmp_path: Path, name: str) -> None:
    model, state, message = WRONG[name]
    torch.save(state(), tmp_path / "w.pth")
    with pytest.raises(UMTError, match=rf"w\.pth: refused: .*{message}"):
        create_backbone(f"timm:{model}weights={tmp_path}/w.pth")


def test_layer_scale_is_missed_though_it_is_a_small_share(tmp_path: Path) -> None:
    """It is one in a thousand of the numbers, and decides what the model does."""
    state = dinov2()
    scales = sum(value.numel() for name, value in state.items() if ".ls" in name)
    assert scales < 0.001 * sum(value.numel() for value in state.values())
    torch.save(without(r"\.ls", state), tmp_path / "w.pth")
    with pytest.raises(UMTError, match="refused"):
        create_backbone(f"timm:{DINOV2}weights={tmp_path}/w.pth")


def test_heads_that_the_file_tells(tmp_path: Path) -> None:
    """MoCo v3's ViT-S has 12 heads, timm's 6; no shape shows it."""
    state = small("vit_small_patch16_224", num_classes=0, depth=2).state_dict()
    encoder = {
        f"module.base_encoder.{name}": value for name, value in {**state, "head.0.weight": torch.ones(1)}.items()
    }
    torch.save({"arch": "vit_small", "state_dict": encoder}, tmp_path / "w.pth")
    name = f"timm:vit_small_patch16_224?depth=2&weights={tmp_path}/w.pth"
    with pytest.raises(UMTError, match=r"has 12 heads, vit_small_patch16_224 6 \(num_heads=12 sets them\)"):
        create_backbone(name)
    backbone = create_backbone(f"{name}&num_heads=12")
    assert backbone.model.blocks[0].attn.num_heads == 12
    with pytest.raises(UMTError, match="num_heads=6 contradicts the file, which has 12 heads"):
        create_backbone(f"{tmp_path}/w.pth?num_heads=6")


@pytest.fixture
def odd(tmp_path: Path) -> str:
    """A ResNet with a tensor beside it that belongs to nothing."""
    state = {f"backbone.{name}": value for name, value in small("resnet18").state_dict().items()}
    torch.save({"state_dict": {**state, "gadget.weight": torch.zeros(2)}}, tmp_path / "w.pth")
    return f"{tmp_path}/w.pth"


def test_tensors_that_belong_to_nothing_are_refused(odd: str) -> None:
    with pytest.raises(UMTError, match=r"1 tensors beside .* belong to nothing known: 'gadget\.weight'.*allow=PATTERN"):
        create_backbone(odd)


def test_allow_lets_names_pass_and_is_said(odd: str, tmp_path: Path) -> None:
    assert create_backbone(f"{odd}?allow=gadget").notes == ("tensors that only allow= lets differ: gadget.weight",)
    torch.save(without(r"^norm\.", dinov2()), tmp_path / "n.pth")
    backbone = create_backbone(f"timm:{DINOV2}weights={tmp_path}/n.pth&allow=^norm")
    assert backbone.provenance["checkpoint"]["allowed"] == "norm.bias, norm.weight"
    assert backbone.notes == ("tensors that only allow= lets differ: norm.bias, norm.weight",)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("weights=other.pth", "a file has its own weights; leave out 'weights'"),
        ("pretrained=false", "a file has its own weights; leave out 'pretrained'"),
        ("layers=null", "option 'layers' is null"),
        ("in_chans=3", "option 'in_chans' is not among those that a name from a file may set"),
    ],
)
def test_options_of_a_file_are_used_or_refused(odd: str, options: str, said: str) -> None:
    with pytest.raises(UMTError, match=said):
        create_backbone(f"{odd}?allow=gadget&{options}")


def test_a_person_may_set_any_option_of_a_file(odd: str) -> None:
    assert create_backbone(f"{odd}?allow=gadget&in_chans=3", trusted=True).architecture == "resnet18"
    with pytest.raises(UMTError, match="got an unexpected keyword argument"):
        create_backbone(f"{odd}?allow=gadget&gadgets=3", trusted=True)


def test_a_part_that_is_not_there_is_named(odd: str) -> None:
    with pytest.raises(UMTError, match=r"part=teacher names none of its models; there are state_dict\.backbone"):
        create_backbone(f"{odd}?allow=gadget&part=teacher")
