"""A backbone with a linear head, as mmengine trains it."""

from __future__ import annotations

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from timm.data import Mixup
from torch import Tensor, nn
from torch.nn import functional as F

from umt.backbones.contract import Backbone


class Classifier(BaseModel):
    """Cross-entropy on the pooled features of images in [0, 1], with optional mixing and label smoothing.

    The head starts near zero (standard deviation 2e-5, as MAE's fine-tuning), so that the first gradients do not
    disturb the backbone. `mixing` draws a ratio for each forward, `None` mixes nothing.
    """

    def __init__(self, backbone: Backbone, classes: int, *, mixing: Mixup | None = None, smoothing: float = 0) -> None:
        super().__init__(BaseDataPreprocessor(non_blocking=True))
        self.backbone = backbone
        self.head = nn.Linear(backbone.dim, classes)
        nn.init.trunc_normal_(self.head.weight, std=2e-5)
        nn.init.zeros_(self.head.bias)
        self.mixing = mixing
        self.smoothing = smoothing

    def forward(self, images: Tensor, labels: Tensor | None = None, mode: str = "tensor") -> Tensor | dict[str, Tensor]:
        """Return logits [B, classes], or in mode 'loss' the loss that mmengine minimises."""
        if labels is None or mode != "loss":
            return self.logits(images)
        images, targets = self.mixing(images, labels) if self.mixing else (images, labels)
        scores = self.logits(images)
        scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
        return {"loss": F.cross_entropy(scores, targets, label_smoothing=self.smoothing)}

    def logits(self, images: Tensor) -> Tensor:
        """Return class scores [B, classes] of images [B, 3, H, W] in [0, 1]."""
        scores: Tensor = self.head(self.backbone(images, maps=()).pooled)
        return scores
