"""A small CNN with two maps."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from umt.backbones import Backbone, Features, Preprocess


class TwoStages(Backbone):
    """Maps of a quarter and a sixteenth of the image's side; the pooled feature is the mean of the last one."""

    def __init__(self, width: int = 32) -> None:
        preprocess = Preprocess(size=64, size_multiple=16)
        super().__init__(preprocess, channels=[width, 2 * width], strides=[4, 16], dim=2 * width)
        self.stem = nn.Conv2d(3, width, kernel_size=4, stride=4)
        self.stage = nn.Conv2d(width, 2 * width, kernel_size=4, stride=4)

    def extract(self, images: Tensor, maps: Sequence[int]) -> Features:
        """Features of normalised images [B, 3, H, W]."""
        fine = F.gelu(self.stem(images))
        coarse = F.gelu(self.stage(fine))
        return Features(pooled=coarse.mean(dim=(2, 3)), cls=None, maps=[(fine, coarse)[index] for index in maps])
