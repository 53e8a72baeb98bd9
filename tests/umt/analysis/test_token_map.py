"""Tokens of an image: whole, in tiles, and the token that sums it up."""

from __future__ import annotations

import pytest
import torch

from umt.analysis.token_map import token_map
from umt.backbones import Backbone, create_backbone
from umt.errors import UMTError


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("max_tokens", "tiles"), [(64, 1), (36, 4), (16, 9), (15, 9), (4, 25)])
def test_tiles_give_the_tokens_of_the_whole_where_tokens_are_local(
    patches: Backbone, image: torch.Tensor, max_tokens: int, tiles: int
) -> None:
    whole = token_map(patches, image, 64)
    found = token_map(patches, image, max_tokens)
    torch.testing.assert_close(found.fmap, whole.fmap)
    assert found.tiles == tiles
    assert found.fmap.shape == (4, 8, 8)
    assert found.side == 64


def test_a_vit_is_whole_below_the_limit_and_tiled_above_and_a_cnn_always_whole() -> None:
    vit, cnn = (create_backbone(f"timm:{name}?pretrained=false") for name in ("test_vit", "test_resnet"))
    picture = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = vit(picture[None], (-1,))
    whole = token_map(vit, picture, 64)
    torch.testing.assert_close(whole.fmap, features.maps[0][0])
    torch.testing.assert_close(whole.summary, features.cls[0])
    assert (whole.tiles, whole.summary_is) == (1, "class token")
    assert token_map(vit, picture, 63).tiles == 4
    assert token_map(cnn, picture, 1).tiles == 1


def test_the_summary_is_the_pooled_feature_where_it_is_as_wide(patches: Backbone, image: torch.Tensor) -> None:
    found = token_map(patches, image, 64)
    assert found.summary_is == "pooled feature"
    torch.testing.assert_close(found.summary, patches(image[None], ()).pooled[0])


def test_the_summary_is_the_mean_of_the_map_where_pooled_features_are_wider(
    patches: Backbone, image: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    extract = patches.extract

    def widened(images: torch.Tensor, maps: list[int]):  # type: ignore[no-untyped-def]
        features = extract(images, maps)
        features.pooled = torch.cat([features.pooled, features.pooled], dim=1)
        return features

    monkeypatch.setattr(patches, "extract", widened)
    assert token_map(patches, image, 64).summary_is == "mean of the map"


def test_tokens_that_are_not_finite_and_a_limit_of_nothing_are_errors(broken: Backbone, image: torch.Tensor) -> None:
    with pytest.raises(UMTError, match="backbone 'broken' gives tokens that are not finite at 64 px"):
        token_map(broken, image, 64)
    with pytest.raises(UMTError, match="--max-tokens 3: fewer than an image has; give at least 4"):
        vit = create_backbone("timm:test_vit?pretrained=false")
        vit.preprocess = vit.preprocess.__class__(size_multiple=2 * vit.strides[-1])
        token_map(vit, image, 3)


def test_an_earlier_map_of_a_cnn_is_finer() -> None:
    cnn = create_backbone("timm:test_resnet?pretrained=false")
    picture = torch.rand(3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = cnn.eval()(picture[None], (-2,))
    found = token_map(cnn, picture, 1, -2)
    torch.testing.assert_close(found.fmap, features.maps[0][0])
    assert found.fmap.shape[1] == 2 * token_map(cnn, picture, 1).fmap.shape[1]
    torch.testing.assert_close(found.summary, features.maps[0][0].mean(dim=(1, 2)))
    assert found.summary_is == "mean of the map"


def test_an_earlier_map_of_a_vit_has_its_own_class_token() -> None:
    vit = create_backbone("timm:test_vit?pretrained=false")
    found = token_map(vit, torch.rand(3, 128, 128), 64, 0)
    assert found.summary_is == "class token of the map"
    assert found.summary.shape == (found.fmap.shape[0],)


def test_a_map_that_is_not_there_is_an_error() -> None:
    cnn = create_backbone("timm:test_resnet?pretrained=false")
    with pytest.raises(UMTError, match="--map 9"):
        token_map(cnn, torch.rand(3, 128, 128), 64, 9)
