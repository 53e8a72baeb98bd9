"""Named checks of the Backbone contract; each gives None, or one sentence on the mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from umt.backbones.check_outputs import difference, first, misshapen, outputs_by_name, picked
from umt.backbones.contract import Backbone, Features
from umt.errors import SizeError, first_line

SIDE = 64  # pixels of a test image's side, or the next multiple that the backbone takes
LARGER_SIDE = 128  # if its maps have no stride: some such CNNs have nothing left of a smaller image
LIGHT = 0.1  # of images in [0, 1]
MIN_REACHED = 0.99  # share of the trainable numbers that a gradient must reach


@dataclass(frozen=True)
class Finding:
    """The outcome of one check; no problem means that the backbone passed."""

    name: str
    problem: str | None


def check_backbone(backbone: Backbone) -> list[Finding]:
    """Run every check in eval mode; restore weights, gradients and mode afterwards."""
    return [Finding(name, _outcome(check, backbone)) for name, check in CHECKS.items()]


def misdeclared(backbone: Backbone) -> str | None:
    """Return a sentence on declarations that are impossible, or that one forward of two small images does not keep."""
    return _declarations(backbone.eval()) or _shapes(backbone)


def _declarations(backbone: Backbone) -> str | None:
    preprocess = backbone.preprocess
    if len(backbone.channels) != len(backbone.strides):
        return f"{len(backbone.channels)} channels are declared, but {len(backbone.strides)} strides"
    if not backbone.channels and backbone.no_maps is None:
        return "no map is declared, and no_maps does not say why"
    if min(*backbone.channels, *backbone.strides, backbone.dim, preprocess.size, preprocess.size_multiple) < 1:
        return "channels, strides, dim, size and size_multiple must be positive"
    if len(preprocess.mean) != 3 or len(preprocess.std) != 3 or min(preprocess.std) <= 0:
        return f"mean {preprocess.mean} and std {preprocess.std} must be three numbers each, and std positive"
    return None


def _shapes(backbone: Backbone) -> str | None:
    images = _images(backbone)
    return misshapen(_features(backbone, images), backbone, images)


def _other_sizes(backbone: Backbone) -> str | None:
    if backbone.fixed:
        return _refuses_other_sizes(backbone)
    multiple = backbone.preprocess.size_multiple
    small, larger = _side(backbone), (backbone.preprocess.size // multiple + 1) * multiple
    for height, width in ((small, small + multiple), (larger, small)):
        images = _images(backbone, height, width)
        problem = misshapen(_features(backbone, images), backbone, images)
        if problem:
            return f"for images of {height}x{width}, {problem}"
    return None


def _refuses_other_sizes(backbone: Backbone) -> str | None:
    """Check that a backbone of one size says so in an error that a user can read."""
    try:
        _features(backbone, _images(backbone, backbone.preprocess.size + backbone.preprocess.size_multiple))
    except SizeError:
        return None
    return "it declares one size of images, and takes another"


def _float32(backbone: Backbone) -> str | None:
    for name, value in outputs_by_name(_features(backbone)).items():
        if value.dtype != torch.float32:
            return f"{name} is {value.dtype}, for float32 images and weights it must be float32"
    return None


def _finite(backbone: Backbone) -> str | None:
    wrong = [name for name, value in outputs_by_name(_features(backbone)).items() if not value.isfinite().all()]
    return f"{wrong[0]} has infinite or NaN values" if wrong else None


def _deterministic(backbone: Backbone) -> str | None:
    different = difference(_features(backbone), _features(backbone))
    return different and f"{different} differs between two runs on the same images in eval mode"


def _batch_independent(backbone: Backbone) -> str | None:
    image, other_image = _images(backbone)
    beside = _features(backbone, torch.stack([image, other_image]))
    beside_another = _features(backbone, torch.stack([image, 1 - image]))
    different = difference(first(beside), first(beside_another))
    return different and f"{different} of an image depends on the other images in its batch"


def _normalised_once(backbone: Backbone) -> str | None:
    images = _images(backbone)
    stated = torch.tensor((backbone.preprocess.mean, backbone.preprocess.std), device=images.device)
    mean, std = stated.view(2, 1, 3, 1, 1)
    normalised = (images - mean) / std
    with _recorded(backbone) as recorded:
        features = _features(backbone, images)
    if recorded and not torch.allclose(recorded[0], normalised.to(recorded[0].dtype), atol=1e-4):
        return "extract is not given (images - mean) / std with the declared mean and std"
    if not recorded and difference(features, backbone.extract(normalised, range(backbone.depth))):
        return "forward is overridden, and gives something else than extract for normalised images"
    module = _second_normalisation(backbone)
    return module and f"{module} holds the mean again: are images normalised twice?"


def _map_selection(backbone: Backbone) -> str | None:
    every = _features(backbone)
    if _features(backbone, maps=()).maps:
        return "maps=() must give no maps"
    if difference(_features(backbone, maps=()), picked(every, [])):
        return "pooled or cls change with the maps that are asked for"
    for indices in ([backbone.depth - 1, 0], [-1]) if backbone.depth else ():
        if difference(_features(backbone, maps=indices), picked(every, indices)):
            return f"maps={indices} does not give these maps, in this order"
    return None


@torch.enable_grad()
def _gradients(backbone: Backbone) -> str | None:
    trainable = {name: value for name, value in backbone.named_parameters() if value.requires_grad}
    if not trainable:
        return None
    backbone.zero_grad(set_to_none=True)
    total = torch.stack([value.float().sum() for value in outputs_by_name(backbone(_images(backbone))).values()]).sum()
    if not total.requires_grad:
        return f"features carry no gradient, but {len(trainable)} parameters are trainable"
    total.backward()
    unreached = {name: value.numel() for name, value in trainable.items() if value.grad is None}
    if sum(unreached.values()) <= (1 - MIN_REACHED) * sum(value.numel() for value in trainable.values()):
        return None
    return (
        f"no gradient reaches {len(unreached)} of {len(trainable)} trainable parameters, e.g. {next(iter(unreached))}"
    )


def _layer_groups(backbone: Backbone) -> str | None:
    ids, names = backbone.layer_ids(), {name for name, _ in backbone.named_parameters()}
    if ids.keys() != names:
        odd = sorted(ids.keys() ^ names)
        return f"layer_ids must name every parameter and nothing else; {len(odd)} do not fit, e.g. {odd[0]}"
    layers = sorted(set(ids.values()))
    return None if layers == list(range(len(layers))) else f"layer_ids must count from 0 without gaps, not {layers}"


def _hash_follows_weights(backbone: Backbone) -> str | None:
    before = backbone.weights_hash()
    if backbone.weights_hash() != before:
        return "weights_hash changes though the weights do not"
    parameters = list(backbone.parameters())
    if not parameters:
        return None
    with torch.no_grad():
        parameters[-1].add_(1)
    return "weights_hash stays the same when a weight changes" if backbone.weights_hash() == before else None


def _weights_untouched(backbone: Backbone) -> str | None:
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    _features(backbone)
    changed = [name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])]
    return f"inference in eval mode changes {changed[0]}" if changed else None


CHECKS: dict[str, Callable[[Backbone], str | None]] = {
    "declarations": _declarations,
    "shapes": _shapes,
    "non-square and larger images": _other_sizes,
    "float32": _float32,
    "finite values": _finite,
    "deterministic in eval mode": _deterministic,
    "independent of the batch": _batch_independent,
    "normalised once": _normalised_once,
    "maps on request": _map_selection,
    "gradients": _gradients,
    "layer groups": _layer_groups,
    "weights hash": _hash_follows_weights,
    "weights untouched by inference": _weights_untouched,
}


def _outcome(check: Callable[[Backbone], str | None], backbone: Backbone) -> str | None:
    try:
        with _restored(backbone):
            return check(backbone.eval())
    except Exception as error:  # a plug-in may fail in any way, and its author reads sentences
        return f"raises {type(error).__name__}: {first_line(error)}"


@contextmanager
def _restored(backbone: Backbone) -> Iterator[None]:
    training = {module: module.training for module in backbone.modules()}
    gradients = {parameter: parameter.grad for parameter in backbone.parameters()}
    state = {name: value.clone() for name, value in backbone.state_dict().items()}
    try:
        yield
    finally:
        backbone.load_state_dict(state)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        for module, mode in training.items():
            module.training = mode


@contextmanager
def _recorded(backbone: Backbone) -> Iterator[list[Tensor]]:
    """Record the images that `extract` is called with."""
    recorded: list[Tensor] = []
    extract = backbone.extract

    def recorder(images: Tensor, maps: Sequence[int]) -> Features:
        recorded.append(images)
        return extract(images, maps)

    object.__setattr__(backbone, "extract", recorder)
    try:
        yield recorded
    finally:
        object.__delattr__(backbone, "extract")


def _side(backbone: Backbone) -> int:
    return backbone.side(SIDE if backbone.channels or backbone.fixed else LARGER_SIDE)


def _images(backbone: Backbone, height: int = 0, width: int = 0) -> Tensor:
    side = _side(backbone)
    images = torch.rand(2, 3, height or side, width or side, generator=torch.Generator().manual_seed(0))
    return images.to(backbone.mean.device)


@torch.no_grad()
def _features(backbone: Backbone, images: Tensor | None = None, maps: Sequence[int] | None = None) -> Features:
    features: Features = backbone(_images(backbone) if images is None else images, maps=maps)
    return features


def _second_normalisation(backbone: Backbone) -> str | None:
    """Return the name of a tensor or transform in the model that holds the declared mean, in [0, 1] or in [0, 255]."""
    mean = torch.tensor(backbone.preprocess.mean)
    inside = {name: value for name, value in backbone.named_buffers() if name not in ("mean", "std")}
    inside |= dict(backbone.named_parameters())
    for name, module in backbone.named_modules():
        if type(module).__name__ == "Normalize":  # torchvision's, timm's and their like
            inside[name] = torch.as_tensor(module.mean)
    for name, value in inside.items():
        numbers = value.detach().float().cpu().flatten()
        scale = next((scale for scale in (1, 255) if numbers.numel() == 3 and torch.allclose(numbers, mean * scale)), 0)
        if scale and mean.any() and not _is_added(backbone, value, scale):
            return name
    return None


@torch.no_grad()
def _is_added(backbone: Backbone, mean: Tensor, scale: int) -> bool:
    """Return whether a model adds the mean to its images, and so undoes the normalisation: more of it is more light."""
    images = (_images(backbone) - backbone.mean) / backbone.std
    lighter = backbone.extract(images + LIGHT / backbone.std, range(backbone.depth))
    stored_mean = mean.clone()
    mean.add_(LIGHT * scale)
    try:
        return difference(backbone.extract(images, range(backbone.depth)), lighter) is None
    finally:
        mean.copy_(stored_mean)
