"""The conformance check: a good backbone passes, and every way to break the contract is caught by its own check."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from umt.backbones import Backbone, Features
from umt.backbones.check import CHECKS, check_backbone

SHAPES = {"shapes", "non-square and larger images"}


def failed(backbone: Backbone) -> set[str]:
    return {finding.name for finding in check_backbone(backbone) if finding.problem}


def problems(backbone: Backbone) -> dict[str, str]:
    return {finding.name: finding.problem for finding in check_backbone(backbone) if finding.problem}


def with_extract(two_stages: type[Backbone], change) -> Backbone:
    """The good backbone whose features pass through `change(features, images, maps)`."""

    class Changed(two_stages):
        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            return change(super().extract(images, maps), images, maps)

    return Changed()


def test_a_good_backbone_passes_every_check(two_stages) -> None:
    findings = check_backbone(two_stages())
    assert [finding.name for finding in findings] == list(CHECKS)
    assert [finding for finding in findings if finding.problem] == []


def test_everything_is_as_it_was(two_stages) -> None:
    backbone = two_stages().train()
    backbone.coarse.eval()
    backbone.fine.weight.grad = torch.ones_like(backbone.fine.weight)
    before = copy.deepcopy(backbone.state_dict())
    check_backbone(backbone)
    assert backbone.training
    assert not backbone.coarse.training
    assert torch.equal(backbone.fine.weight.grad, torch.ones_like(backbone.fine.weight))
    assert backbone.coarse.weight.grad is None
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert "extract" not in vars(backbone)


@pytest.mark.parametrize(
    ("declared", "checks", "sentence"),
    [
        ({"channels": (4, 7)}, SHAPES, r"maps[1] is (2, 6, 8, 8), but (2, 7, 8, 8) follows"),
        ({"strides": (4, 16)}, SHAPES, r"maps[1] is (2, 6, 8, 8), but (2, 6, 4, 4) follows"),
        ({"dim": 5}, SHAPES, r"pooled is (2, 6), but (2, 5) follows"),
        ({"strides": (4,)}, {"declarations", *SHAPES}, "raises ValueError"),
    ],
)
def test_wrong_declarations(two_stages, declared: dict, checks: set[str], sentence: str) -> None:
    found = problems(two_stages(**declared))
    assert found.keys() == checks
    assert sentence in found["shapes"]


def test_a_std_of_zero(two_stages) -> None:
    backbone = two_stages()
    backbone.use_preprocess(replace(backbone.preprocess, std=(0.2, 0.0, 0.2)))
    assert "must be three numbers each, and std positive" in problems(backbone)["declarations"]


def test_square_images_only(two_stages) -> None:
    def square(features: Features, images: Tensor, maps: Sequence[int]) -> Features:
        assert images.shape[2] == images.shape[3], "wants squares"
        return features

    assert problems(with_extract(two_stages, square)) == {
        "non-square and larger images": "raises AssertionError: wants squares"
    }


def test_a_class_token_that_is_not_declared(two_stages) -> None:
    backbone = with_extract(two_stages, lambda features, images, maps: replace(features, cls=features.pooled))
    assert problems(backbone)["shapes"] == "cls is given, but not declared"


def test_a_class_token_that_is_not_given(two_stages) -> None:
    class Claims(two_stages):
        has_cls = True

    assert problems(Claims())["shapes"] == "cls is declared, but not given"


def test_another_type(two_stages) -> None:
    backbone = with_extract(two_stages, lambda features, *_: replace(features, pooled=features.pooled.double()))
    assert problems(backbone).keys() == {"float32"}


def test_not_a_number(two_stages) -> None:
    backbone = with_extract(two_stages, lambda features, *_: replace(features, pooled=features.pooled * float("nan")))
    assert problems(backbone) == {"finite values": "pooled has infinite or NaN values"}


def test_dropout_in_eval_mode(two_stages) -> None:
    def drop(features: Features, *_: object) -> Features:
        return replace(features, pooled=nn.functional.dropout(features.pooled, training=True))

    found = failed(with_extract(two_stages, drop))
    assert {"deterministic in eval mode"} <= found
    assert found <= {"deterministic in eval mode", "independent of the batch", "maps on request"}


def test_batch_statistics_in_eval_mode(two_stages) -> None:
    def centre(features: Features, *_: object) -> Features:
        return replace(features, pooled=features.pooled - features.pooled.mean(0))

    found = problems(with_extract(two_stages, centre))
    assert found == {"independent of the batch": "pooled of an image depends on the other images in its batch"}


def test_no_normalisation(two_stages) -> None:
    class Raw(two_stages):
        def forward(self, images: Tensor, maps: Sequence[int] | None = None) -> Features:
            return self.extract(images, range(2) if maps is None else [range(2)[index] for index in maps])

    assert problems(Raw()) == {
        "normalised once": "extract is not given (images - mean) / std with the declared mean and std"
    }


def test_a_forward_of_its_own_without_normalisation(two_stages) -> None:
    class Aside(two_stages):
        def forward(self, images: Tensor, maps: Sequence[int] | None = None) -> Features:
            wanted = range(2) if maps is None else [range(2)[index] for index in maps]
            return type(self).__mro__[1].extract(self, images, wanted)

    assert problems(Aside()) == {
        "normalised once": "forward is overridden, and gives something else than extract for normalised images"
    }


@pytest.mark.parametrize("scale", [1, 255])
def test_normalising_twice(two_stages, scale: int) -> None:
    class Twice(two_stages):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("pixel_mean", scale * torch.tensor(self.preprocess.mean).view(3, 1, 1))

        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            return super().extract(images - self.pixel_mean, maps)

    assert problems(Twice()) == {"normalised once": "pixel_mean holds the mean again: are images normalised twice?"}


@pytest.mark.parametrize("scale", [1, 255])
def test_undoing_the_normalisation(two_stages, scale: int) -> None:
    class Undone(two_stages):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("pixel_mean", scale * torch.tensor(self.preprocess.mean).view(3, 1, 1), False)

        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            return super().extract((scale * images * self.std + self.pixel_mean) / scale, maps)

    backbone = Undone()
    before = backbone.pixel_mean.clone()
    assert problems(backbone) == {}
    torch.testing.assert_close(backbone.pixel_mean, before, rtol=0, atol=0)


def test_a_normalising_transform_inside(two_stages) -> None:
    from torchvision.transforms import Normalize

    class Transforms(two_stages):
        def __init__(self) -> None:
            super().__init__()
            self.normalize = Normalize(self.preprocess.mean, self.preprocess.std)

        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            return super().extract(self.normalize(images), maps)

    assert failed(Transforms()) == {"normalised once"}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda backbone, maps: [0, 1],
        lambda backbone, maps: sorted(maps),
    ],
    ids=["always all", "always sorted"],
)
def test_maps_that_were_not_asked_for(two_stages, wrong) -> None:
    class Ignores(two_stages):
        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            return super().extract(images, wrong(self, maps))

    assert failed(Ignores()) == {"maps on request"}


def test_no_gradient(two_stages) -> None:
    class Frozen(two_stages):
        @torch.no_grad()
        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            return super().extract(images, maps)

    assert problems(Frozen()) == {"gradients": "features carry no gradient, but 4 parameters are trainable"}
    assert failed(Frozen().requires_grad_(False)) == set()


def test_parameters_that_no_gradient_reaches(two_stages) -> None:
    backbone = two_stages()
    backbone.head = nn.Linear(6, 1000)
    assert problems(backbone) == {"gradients": "no gradient reaches 2 of 6 trainable parameters, e.g. head.weight"}


@pytest.mark.parametrize(
    "layers",
    [lambda ids: {}, lambda ids: {**ids, "ghost": 0}, lambda ids: {name: 2 * layer for name, layer in ids.items()}],
    ids=["none", "one too many", "gaps"],
)
def test_layer_groups(two_stages, layers) -> None:
    class Grouped(two_stages):
        def layer_ids(self) -> dict[str, int]:
            return layers(super().layer_ids())

    assert failed(Grouped()) == {"layer groups"}


@pytest.mark.parametrize("digest", [lambda: "constant", lambda: str(torch.rand(1).item())], ids=["deaf", "random"])
def test_weights_hash(two_stages, digest) -> None:
    class Hashed(two_stages):
        def weights_hash(self) -> str:
            return digest()

    assert failed(Hashed()) == {"weights hash"}


def test_inference_that_learns(two_stages) -> None:
    class Counts(two_stages):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("seen", torch.zeros(1))

        def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
            self.seen += 1
            return super().extract(images, maps)

    assert problems(Counts()) == {"weights untouched by inference": "inference in eval mode changes seen"}


def test_an_error_is_a_sentence(two_stages) -> None:
    def fail(*_: object) -> Features:
        raise RuntimeError("no luck\nat all")

    assert problems(with_extract(two_stages, fail))["shapes"] == "raises RuntimeError: no luck"
