"""Any Backbone as an MMSegmentation backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.functional import pad

from umt.backbones import Backbone, Features, create_backbone
from umt.backbones.contract import RGB, round_up
from umt.errors import DeclarationError

BLACK: RGB = (0.0, 0.0, 0.0)
FINAL_NORMS = ("model.norm", "model.visual.ln_post", "model.visual.trunk.norm")  # of timm's ViTs and open_clip's
PADDING_COLOURS = ("black", "mean")


@MODELS.register_module()
class UMTBackbone(nn.Module):
    """A Backbone for mmseg: a tuple of maps [B, C_i, H_i, W_i], or of [map, summary token] pairs for its DPTHead.

    The images are RGB in [0, 1]: give `data_preprocessor(size_multiple)` to the segmentor, because the Backbone
    normalises them itself.

    spec: name of the backbone, e.g. 'timm:resnet50'; or backbone: a Backbone that is built already.
    out_indices: which maps, in this order; negative ones count from the end.
    frozen: no gradient, and eval mode always, also while the head trains.
    with_cls: pairs instead of maps; the summary is the class token, else the map pooled over space (paper A.1).
    final_norm: False for the maps of a ViT as its blocks give them. The final norm is taken out of the backbone, where
    it is one of `FINAL_NORMS`; other backbones stay as they are. `normed` says if their maps have it.
    centred: images of other sizes are padded here, all round, to the size multiple, in the mean colour, as DINOv2's
    published code does. The segmentor knows nothing of it, and stretches the map of the padded image over the image.
    """

    def __init__(
        self,
        spec: str | None = None,
        backbone: Backbone | None = None,
        out_indices: Sequence[int] = (-1,),
        frozen: bool = False,
        with_cls: bool = False,
        final_norm: bool = True,
        centred: bool = False,
    ) -> None:
        super().__init__()
        if (spec is None) == (backbone is None):
            raise DeclarationError(
                "UMTBackbone takes either spec='timm:...' or backbone=a Backbone, exactly one of them"
            )
        self.backbone = backbone if backbone is not None else create_backbone(str(spec))
        self.out_indices = tuple(out_indices)
        self.frozen = frozen
        self.with_cls = with_cls
        self.centred = centred
        self.normed = final_norm or not drop_final_norm(self.backbone)
        self.backbone.requires_grad_(not frozen)
        self.train()

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | tuple[list[Tensor], ...]:
        if self.centred:
            images = centre(images, self.backbone.preprocess.size_multiple, self.backbone.mean)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features: Features = self.backbone(images, maps=self.out_indices)
        if not self.with_cls:
            return tuple(features.maps)
        return tuple([fmap, features.summary(index)] for index, fmap in enumerate(features.maps))

    def train(self, mode: bool = True) -> UMTBackbone:
        super().train(mode and not self.frozen)
        return self


def drop_final_norm(backbone: Backbone) -> bool:
    """Replace the norm that a ViT applies to each of its maps by nothing; return False if there is none to be found.

    A model that is made again for every size of images (`sizes`) keeps its norm.
    """
    modules = dict(backbone.named_modules())
    names = [name for name in FINAL_NORMS if name in modules]
    if len(set(backbone.strides)) > 1 or not names or getattr(backbone, "sizes", None):
        return False
    backbone.set_submodule(names[0], nn.Identity())
    return True


def centre(images: Tensor, size_multiple: int, colour: Tensor) -> Tensor:
    """Pad images [B, 3, H, W] all round with a colour [1, 3, 1, 1], so that both sides are size multiples."""
    height, width = (round_up(side, size_multiple) - side for side in images.shape[-2:])
    if not height and not width:
        return images
    return pad(images - colour, (width // 2, width - width // 2, height // 2, height - height // 2)) + colour


@MODELS.register_module()
class ColourPaddingPreprocessor(SegDataPreProcessor):
    """mmseg's preprocessor, which pads right and below in a colour (RGB in [0, 1]) instead of black."""

    def __init__(self, colour: Sequence[float], **options: Any) -> None:
        super().__init__(**options)
        self.register_buffer("colour", torch.tensor(colour).view(-1, 1, 1), persistent=False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        sizes = [image.shape[-2:] for image in data["inputs"]]
        batch: dict[str, Any] = super().forward(data, training)
        for image, (height, width) in zip(batch["inputs"], sizes, strict=True):
            image[:, height:] = self.colour
            image[:, :height, width:] = self.colour
        return batch


def padding_colour(name: str, backbone: Backbone) -> RGB:
    """Return the colour of padding in a protocol, `black` or `mean`: the colour that the backbone normalises to 0."""
    return backbone.preprocess.mean if name == "mean" else BLACK


def data_preprocessor(
    size_multiple: int, crop: int | None = None, label_padding: int = 255, colour: RGB = BLACK
) -> dict[str, object]:
    """Return mmseg's preprocessor for a Backbone: BGR bytes become RGB in [0, 1], not normalised.

    It also pads, right and below, to `crop` in training and to the next size multiple in testing. The padding is
    here and not in the backbone, because mmseg then scales the logits to the padded size and cuts the rest off.
    """
    return {
        "type": "ColourPaddingPreprocessor",
        "colour": colour,
        "mean": [0.0, 0.0, 0.0],
        "std": [255.0, 255.0, 255.0],
        "bgr_to_rgb": True,
        "size": (crop, crop) if crop else None,
        "size_divisor": None if crop else size_multiple,
        "pad_val": 0,
        "seg_pad_val": label_padding,
        "test_cfg": {"size_divisor": size_multiple},
    }
