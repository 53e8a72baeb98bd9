"""Teachers whose images are summed up by generalised mean pooling (Radenović et al. 2018)."""

from torch import Tensor

from umt.backbones.contract import Features
from umt.distill.objectives import Objective

POWER = 3.0  # 1 is the mean, infinity the maximum
SMALLEST = 1e-6  # a power of a negative number is none


def generalised_mean(features: Features) -> Tensor:
    """[B, C] of the last map."""
    return features.maps[-1].clamp(min=SMALLEST).pow(POWER).mean(dim=(2, 3)).pow(1 / POWER)


GEM = Objective("gem", generalised_mean, feature_loss="patch_cosine")
