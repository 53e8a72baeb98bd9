"""The photographs that pip packages bring."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from umt.data.mini.photos import NAMES, motorcycle, photo
from umt.errors import UMTError


@pytest.mark.parametrize("name", NAMES)
def test_photographs_are_rgb_and_no_two_are_alike(name: str) -> None:
    pixels = photo(name)
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert pixels.dtype == np.uint8
    assert not any(np.array_equal(pixels, photo(other)) for other in NAMES if other != name)


def test_without_scikit_image_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UMTError, match="needs scikit-image; install it with: pip install scikit-image"):
        motorcycle()
