"""Surface normals with a DPT head on a frozen backbone; importing this registers the classes with MMSegmentation."""

from __future__ import annotations

from depth.normals.head import AngularLoss, DPTNormalHead
from depth.normals.metric import PerImageNormals
from depth.normals.pipeline import (
    CentreCrop,
    LoadDerivedNormals,
    LoadPublishedNormals,
    PackNormals,
    RandomJitter,
    RandomSquare,
)
from depth.normals.schedule import QuarterCosineLR

__all__ = [
    "AngularLoss",
    "CentreCrop",
    "DPTNormalHead",
    "LoadDerivedNormals",
    "LoadPublishedNormals",
    "PackNormals",
    "PerImageNormals",
    "QuarterCosineLR",
    "RandomJitter",
    "RandomSquare",
]
