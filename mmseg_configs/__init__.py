"""Dense tasks on MMSegmentation; importing this registers the classes that `custom_imports` of a config needs."""

from __future__ import annotations

import contextlib
import io
import warnings

with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
    warnings.simplefilter("ignore")  # mmseg announces at import which of its optional parts are not there
    import mmseg.datasets
    import mmseg.models  # noqa: F401

from mmseg_configs.backbone import ColourPaddingPreprocessor, UMTBackbone
from mmseg_configs.head import LinearHead
from mmseg_configs.loading import LoadCheckedImage, LoadCheckedLabels
from mmseg_configs.metric import ClassIoU
from mmseg_configs.segmentor import FusedEncoderDecoder
from mmseg_configs.transforms import AntialiasedResize, BlendingDistortion

__all__ = [
    "AntialiasedResize",
    "BlendingDistortion",
    "ClassIoU",
    "ColourPaddingPreprocessor",
    "FusedEncoderDecoder",
    "LinearHead",
    "LoadCheckedImage",
    "LoadCheckedLabels",
    "UMTBackbone",
]
