"""Teachers: own preprocessing, own size, kinds, grids, and nothing of them outlives a forward but their targets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from umt.backbones import create_backbone
from umt.distill.objectives import Objective, objective_of, summary_token
from umt.distill.recipe import TeacherSpec
from umt.distill.spaces.shapes import resampled
from umt.distill.teachers.teacher import Teacher
from umt.errors import UMTError

VIT = "timm:test_vit?pretrained=false&img_size=64"
CNN = "timm:test_resnet?pretrained=false"


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def teacher() -> Callable[..., Teacher]:
    def make(kind: str, backbone: str, grid: tuple[int, int] = (2, 2), **fields: object) -> Teacher:
        spec = TeacherSpec("t", kind, backbone, **fields)  # type: ignore[arg-type]
        return Teacher(spec, create_backbone(backbone), 64, grid)

    return make


@pytest.mark.parametrize(("backbone", "cls"), [(CNN, False), (VIT, True)])
@pytest.mark.parametrize("kind", ["classification", "mae", "dino"])
def test_the_summary_is_a_vits_class_token_and_a_cnns_pooled_feature(
    kind: str, backbone: str, cls: bool, teacher: Callable[..., Teacher], images: Tensor
) -> None:
    features = create_backbone(backbone)(images)
    assert torch.equal(teacher(kind, backbone)(images).summary, features.cls if cls else features.pooled)


@pytest.mark.parametrize("backbone", [CNN, VIT])
def test_the_target_is_the_map_that_the_recipe_names(
    backbone: str, teacher: Callable[..., Teacher], images: Tensor
) -> None:
    made = teacher("dino", backbone, grid=(4, 4), map=-2)
    early = create_backbone(backbone)(images, maps=(-2,)).maps[0]
    assert torch.equal(made(images).features, resampled(early, (4, 4)))
    assert made.widths()[1] == early.shape[1]


def test_a_clip_stand_in_is_held_to_its_image_encoding(images: Tensor) -> None:
    vision = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "head_width": 16}
    text = {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1}
    backbone = create_backbone("open_clip:RN50?pretrained=false&size=64", vision_cfg=vision, text_cfg=text)
    made = Teacher(TeacherSpec("clip", "clip", backbone.spec), backbone, 64, (2, 2))
    features = backbone(images)
    assert torch.equal(made(images).summary, features.pooled)
    assert torch.equal(made(images).features, features.maps[-1].mean(dim=(2, 3)))
    assert features.pooled.shape[1] != features.maps[-1].shape[1]


def test_a_kind_that_does_not_fit_says_why(teacher: Callable[..., Teacher]) -> None:
    for backbone in (CNN, VIT):
        with pytest.raises(
            UMTError, match=r"teacher 't': timm:.* cannot have the objective clip: it has no image encoding"
        ):
            teacher("clip", backbone)


def test_pooled_kinds_give_vectors_and_patch_kinds_the_students_grid(
    teacher: Callable[..., Teacher], images: Tensor
) -> None:
    assert teacher("classification", VIT)(images).features.shape == (2, 64)
    assert teacher("dino", VIT, (2, 2))(images).features.shape == (2, 64, 2, 2)
    assert teacher("mae", VIT, (7, 7))(images).features.shape == (2, 64, 7, 7)


def test_maps_are_resampled_bilinearly_and_antialiased() -> None:
    fmap = torch.rand(1, 3, 16, 16)
    assert torch.equal(resampled(fmap, (16, 16)), fmap)
    assert torch.equal(resampled(fmap, (7, 7)), F.interpolate(fmap, (7, 7), mode="bilinear", antialias=True))
    assert resampled(torch.full((1, 1, 14, 14), 3.0), (7, 7)).unique().tolist() == pytest.approx([3.0])


def test_each_normalises_the_same_view_by_its_own_values(teacher: Callable[..., Teacher], images: Tensor) -> None:
    plain, other = teacher("dino", CNN), teacher("dino", f"{CNN}&mean=0.5&std=0.5")
    shifted = (images - 0.5) / 0.5
    back = shifted * plain.backbone.std + plain.backbone.mean
    assert torch.allclose(other(images).summary, plain(back).summary, atol=1e-4)


def test_a_patch_size_that_does_not_divide_the_view_enlarges_it(teacher: Callable[..., Teacher]) -> None:
    spec = "timm:vit_small_patch14_dinov2?pretrained=false&img_size=98&depth=1"
    assert teacher("dino", spec).size == 70
    assert teacher("dino", VIT, (2, 2), size="grid").size == 32
    assert teacher("dino", VIT, (2, 2), size=96).size == 96
    with pytest.raises(UMTError, match="size 50 is not a multiple of 16"):
        teacher("dino", VIT, size=50)


def test_it_is_never_trained(teacher: Callable[..., Teacher], images: Tensor) -> None:
    made = teacher("classification", CNN)
    before = {name: value.clone() for name, value in made.backbone.state_dict().items()}
    targets = made(images.requires_grad_())
    assert not targets.summary.requires_grad
    assert not made.backbone.training
    assert all(torch.equal(value, before[name]) for name, value in made.backbone.state_dict().items())


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Installs a package that offers an objective called sam, as some expression gives it."""

    def install(
        expression: str,
        names: str = "umt.distill.objectives import Objective, summary_token",
        group: str = "umt.teacher_objectives",
    ) -> None:
        text = f"from {names}\nSAM = {expression}\n"
        module = f"objective_from_outside_{abs(hash(expression))}"
        (tmp_path / f"{module}.py").write_text(text)
        info = tmp_path / "some_objectives-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-objectives\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{group}]\nsam = {module}:SAM\n")
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_an_installed_objective_is_its_target_and_its_loss(
    offered: Callable[..., None], teacher: Callable[..., Teacher], images: Tensor
) -> None:
    offered('Objective("sam", summary_token, "patch_mse")')
    assert objective_of("sam").feature_loss == "patch_mse"
    assert torch.equal(teacher("sam", VIT)(images).summary, teacher("dino", VIT)(images).summary)
    with pytest.raises(UMTError, match=r"unknown objective of a teacher 'samm'. Did you mean sam\?"):
        objective_of("samm")


def test_the_group_and_the_class_of_version_0_1_work_with_a_warning(
    offered: Callable[..., None], teacher: Callable[..., Teacher], images: Tensor
) -> None:
    old = 'Kind("sam", summary_token, "patch_mse", misfit=lambda features: None)'
    offered(old, "umt.distill.kinds import Kind, summary_token", "umt.kinds")
    with pytest.warns(DeprecationWarning, match="goes with the next release") as caught:
        assert objective_of("sam") == Objective("sam", summary_token, "patch_mse", objective_of("sam").incompatible)
    said = " ".join(str(warning.message) for warning in caught)
    assert "'sam' of some-objectives (" in said
    assert "the entry-point group umt.kinds goes with the next release; offer it in umt.teacher_objectives" in said
    assert "take umt.distill.objectives.Objective" in said
    assert torch.equal(teacher("sam", VIT)(images).summary, teacher("dino", VIT)(images).summary)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('Objective("sam", summary_token, "l1")', "unknown feature loss 'l1'"),
        (
            '"sam"',
            r"'sam' of some-objectives \(objective_\w+:SAM\) is a str; it must be a umt.distill.objectives.Objective",
        ),
    ],
)
def test_an_installed_objective_that_is_none_says_so(
    offered: Callable[..., None], teacher: Callable[..., Teacher], expression: str, message: str
) -> None:
    offered(expression)
    with pytest.raises(UMTError, match=message):
        teacher("sam", VIT)
