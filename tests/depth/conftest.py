"""A pair of image and depth on disk, read by mmseg's pipeline transforms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from depth.loading import LoadCheckedDepth
from mmseg_configs.loading import LoadCheckedImage


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Writes a black 3x2 image and the given depth, and loads both."""

    def run(depth: np.ndarray, far: bool = False) -> dict[str, Any]:
        image, annotation = tmp_path / "a.png", tmp_path / "a_depth.png"
        Image.fromarray(np.zeros((2, 3, 3), np.uint8)).save(image)
        Image.fromarray(depth).save(annotation)
        results = {"img_path": str(image), "depth_map_path": str(annotation), "seg_fields": []}
        return LoadCheckedDepth(min_depth=1e-3, max_depth=10.0, far=far).transform(
            LoadCheckedImage().transform(results)
        )

    return run
