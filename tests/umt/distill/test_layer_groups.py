"""Layer-wise learning rates of a head of a checkpoint: interaction modules sit above the last block, below the head."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
from timm.optim import param_groups_layer_decay
from torch import nn

from umt.backbones import create_backbone
from umt.backbones.checkpoint import Readout
from umt.distill.distiller import Distiller
from umt.distill.heads import HeadBackbone
from umt.distill.recipe import DistillRecipe
from umt.training.param_groups import layer_decay_groups

DECAY = 0.8
Rates = dict[str, tuple[float, float]]  # learning rate and weight decay of each parameter


def of_timm(name: str, **options: object) -> Rates:
    """The student's own, when its classifier sits right on the last block."""
    model = timm.create_model(name, num_classes=3, **options)
    undecayed = model.no_weight_decay() if hasattr(model, "no_weight_decay") else ()
    groups = param_groups_layer_decay(model, 0.05, no_weight_decay_list=undecayed, layer_decay=DECAY)
    names = {id(value): name for name, value in model.named_parameters()}
    return {
        names[id(value)]: (group["lr_scale"], group["weight_decay"]) for group in groups for value in group["params"]
    }


@pytest.mark.parametrize(
    ("name", "options"), [("test_resnet", {}), ("test_vit", {"img_size": 64}), ("test_convnext", {})]
)
def test_spaces_are_one_layer_between_student_and_head(
    recipe: Callable[..., DistillRecipe], distiller: Callable[..., Distiller], name: str, options: dict[str, int]
) -> None:
    spec = f"timm:{name}" + "".join(f"?{key}={value}" for key, value in options.items())
    model = distiller(recipe("interaction.heads=4", student=spec))
    tap = HeadBackbone(create_backbone(spec, pretrained=False), model.spaces, None, Readout("lite2", "lite2"))
    head = nn.Linear(tap.dim, 3)
    groups = layer_decay_groups(tap, head, lr=1.0, weight_decay=0.05, layer_decay=DECAY)
    found = {id(value): (group["lr"], group["weight_decay"]) for group in groups for value in group["params"]}
    student = of_timm(name, **options)
    for parameter, value in tap.student.model.named_parameters():
        rate, decay = student[parameter]
        last_norm = name == "test_convnext" and parameter.startswith("head.norm")  # timm counts it to the classifier
        assert found[id(value)] == pytest.approx((rate * DECAY ** (2 if last_norm else 1), decay)), parameter
    for parameter, value in tap.spaces.named_parameters():
        assert found[id(value)] == pytest.approx((DECAY, 0.05 if value.ndim > 1 else 0.0)), parameter
    assert [found[id(value)] for value in head.parameters()] == [(1.0, 0.05), (1.0, 0.0)]
    assert len(found) == len(list(tap.parameters())) + 2
