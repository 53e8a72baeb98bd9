"""Spaces on other maps than the last, and ladders: the same sums by hand, gradients, and the backbone of a head."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.backbones.checkpoint import Readout
from umt.backbones.contract import Backbone, Features
from umt.distill.distiller import Distiller, make_spaces
from umt.distill.heads import HeadBackbone
from umt.distill.recipe import DistillRecipe, InteractionSpec
from umt.distill.spaces.shapes import SpaceShape, StudentShape
from umt.errors import UMTError

SPACES = [SpaceShape("fine", 24, 16), SpaceShape("coarse", 24, 32)]
EARLY = InteractionSpec("projectors", maps={"fine": -2})
IMAGES = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=["cnn_student", "vit_student"])
def student(request: pytest.FixtureRequest) -> Backbone:
    backbone: Backbone = request.getfixturevalue(request.param)
    return backbone.eval()


def test_a_space_is_made_of_the_map_that_the_recipe_names(student: Backbone) -> None:
    spaces = make_spaces(EARLY, StudentShape.of(student), SPACES)
    assert spaces.maps == (-2, -1)
    found = spaces(student(IMAGES, maps=spaces.maps))
    features = student(IMAGES, maps=(-2, -1))
    cells = spaces.get_submodule("projectors.fine.features")(features.maps[0].movedim(1, -1))
    assert torch.allclose(found["fine"].fmap, cells.movedim(-1, 1), atol=1e-6)
    assert found["coarse"].fmap.shape[2:] == features.maps[1].shape[2:]
    if features.map_cls is not None:
        token = spaces.get_submodule("projectors.fine.features")(features.map_cls[0])
        assert found["fine"].cls is not None
        assert torch.allclose(found["fine"].cls, token, atol=1e-6)


def test_a_ladder_adds_a_projector_of_every_map(student: Backbone) -> None:
    spaces = make_spaces(InteractionSpec("ladder"), StudentShape.of(student), SPACES)
    features = student(IMAGES)
    found = spaces(features)["coarse"]
    grid = features.maps[-1].shape[2:]
    rungs = spaces.get_submodule("projectors.coarse")
    cells = sum(
        network(F.interpolate(fmap, grid, mode="bilinear", antialias=True).movedim(1, -1)).double()
        for network, fmap in zip(rungs.features, features.maps, strict=True)
    )
    assert torch.allclose(found.fmap.double(), cells.movedim(-1, 1), atol=1e-5)
    globals_ = [features.summary(index) for index in range(len(features.maps) - 1)]
    summary = sum(
        network(value).double() for network, value in zip(rungs.summary, [*globals_, features.pooled], strict=True)
    )
    assert found.summary is not None
    assert torch.allclose(found.summary.double(), summary, atol=1e-5)


@pytest.mark.parametrize("changes", [("maps.lite2=-2",), ("maps.lite2=-2", "method=projectors"), ("method=ladder",)])
@pytest.mark.parametrize("student", ["timm:test_resnet", "timm:test_vit?img_size=64"])
def test_every_part_learns(
    changes: tuple[str, ...],
    student: str,
    recipe: Callable[..., DistillRecipe],
    distiller: Callable[..., Distiller],
) -> None:
    settings = [f"interaction.{change}" for change in (*changes, "heads=2")]
    model = distiller(recipe(*settings, student=student)).train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):  # residual branches begin at zero
        optimiser.step()
        optimiser.zero_grad()
        model((IMAGES * 255).byte())["loss"].backward()
    silent = [name for name, value in model.named_parameters() if value.grad is None or not value.grad.any()]
    assert [name for name in silent if not name.startswith("student.model.fc_norm")] == []


@pytest.mark.parametrize(
    "spec", [EARLY, InteractionSpec("ladder"), InteractionSpec(maps={"fine": -2}, heads=2, groups=8)]
)
@pytest.mark.parametrize("readout", [Readout("coarse", "fine"), Readout("fine", "fine")])
def test_a_head_gives_the_space_as_its_last_map(spec: InteractionSpec, readout: Readout, student: Backbone) -> None:
    spaces = make_spaces(spec, StudentShape.of(student), SPACES).eval()
    student.eval()
    expected = spaces(student(IMAGES, maps=spaces.maps))
    cells, summary = expected[readout.dense].fmap.detach(), expected[readout.classification].summary
    backbone = HeadBackbone(student, spaces, None, readout).eval()
    features: Features = backbone(IMAGES)
    side = IMAGES.shape[-1] // backbone.strides[-1]
    assert features.maps[-1].shape == (2, backbone.channels[-1], side, side)
    assert torch.allclose(features.maps[-1], cells, atol=1e-5)
    assert summary is not None
    assert torch.allclose(features.pooled, summary, atol=1e-5)
    assert len(features.maps) == backbone.depth
    early: Tensor = backbone(IMAGES, maps=(0,)).maps[0]
    assert torch.equal(early, features.maps[0])


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (InteractionSpec("projectors", maps={"fine": -99}), r"the student has no map -99; take -1, its last, to -\d+"),
        (InteractionSpec("projectors", maps={"fine": 0}), r"the student has no map 0"),
        (InteractionSpec("ladder", maps={"fine": -2}), r"a ladder is made of all maps"),
    ],
)
def test_maps_that_are_not_there_are_one_line(spec: InteractionSpec, message: str, cnn_student: Backbone) -> None:
    with pytest.raises(UMTError, match=message):
        make_spaces(spec, StudentShape.of(cnn_student), SPACES)


def test_a_map_of_an_unknown_space_is_named(recipe: Callable[..., DistillRecipe]) -> None:
    with pytest.raises(UMTError, match=r"interaction.maps.*'mae'"):
        recipe("interaction.maps.mae=-2")


def test_a_file_of_an_earlier_version_has_the_last_map_alone() -> None:
    shape = StudentShape(width=32, pooled=32, has_cls=False)
    assert shape.width_of(-1) == 32
    with pytest.raises(UMTError, match="no map -2"):
        shape.width_of(-2)
