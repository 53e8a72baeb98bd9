"""Weights in memory once: a model is built without random numbers, and takes the tensors of a file as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.serialization import config

INIT = "torch.nn.init"  # the module of torch's own ways to give a new parameter its first values
IN_PLACE = frozenset(("uniform_", "normal_", "erfinv_", "mul_", "add_", "sub_", "div_", "clamp_", "zero_", "fill_"))
Model = TypeVar("Model", bound=nn.Module)


@contextmanager
def uninitialised() -> Iterator[None]:
    """Leave the parameters of models that are built here without values, and so without memory.

    Buffers are made as ever. Whoever builds so must load every parameter from a file.
    """
    with _Skip():
        yield


def with_weights(create: Callable[[], Model], *, known: bool = True) -> Model:
    """Return the model that a library creates with weights from its hub, in little more memory than the weights.

    Files are mapped, and their tensors taken as they are. known: whether its code may leave out the first values of
    parameters. It is created in the ordinary way if its file cannot be mapped, or leaves a parameter without values.
    """
    with torch.random.fork_rng(devices=[]):
        skipped = _Skip()
        try:
            with config.patch("load.mmap", True), _Adopt(), skipped if known else nullcontext():  # type: ignore[attr-defined]
                model = create()
            if not skipped.blank or not any(id(parameter) in skipped.blank for parameter in model.parameters()):
                return model
        except RuntimeError as error:
            if "mmap" not in str(error):  # torch's format before 1.6 cannot be mapped
                raise
    return create()


def adopt(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors in the place of parameters and buffers, without a copy where type and storage allow it."""
    state, adoption, adopted = model.state_dict(), _Adoption(), dict[str, Tensor]()
    for name, value in tensors.items():
        tensor = adoption.take(value.to(state[name].dtype))
        adopted[name] = tensor.to(state[name].device)
    model.load_state_dict(adopted, strict=False, assign=True)


class _Adoption:
    """Tensors of a file that a model takes, each with a storage of its own: what shares one with others is copied."""

    def __init__(self) -> None:
        self.storages: set[int] = set()

    def take(self, tensor: Tensor) -> Tensor:
        """Return the tensor, or a copy."""
        tensor = tensor.contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in self.storages or storage.nbytes() != tensor.nbytes:
            tensor = tensor.clone()
        self.storages.add(tensor.untyped_storage().data_ptr())
        return tensor


class _Adopt(TorchFunctionMode):
    """Makes `parameter.copy_(tensor)` take the tensor, which is how torch loads a state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.adoption = _Adoption()

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        if function is Tensor.copy_ and _exchangeable(*arguments[:2]):
            target, source = arguments[:2]
            target.data = self.adoption.take(source.detach())
            return target
        return function(*arguments, **options or {})


def _exchangeable(target: Any, source: Any) -> bool:
    """Return whether a parameter can have another tensor's bytes for its own."""
    if not isinstance(target, nn.Parameter) or not isinstance(source, Tensor) or isinstance(source, nn.Parameter):
        return False
    return (target.shape, target.dtype, target.device) == (source.shape, source.dtype, source.device)


class _Skip(TorchFunctionMode):
    """Leaves out what gives parameters their first values, and knows those that have got none since."""

    def __init__(self) -> None:
        super().__init__()
        self.blank: dict[int, nn.Parameter] = {}  # by identity
        self.loaded: dict[int, nn.Parameter] = {}

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = options or {}
        target = arguments[0] if arguments else options.get("tensor")
        name = getattr(function, "__name__", "")
        if isinstance(target, nn.Parameter):
            first = getattr(function, "__module__", "") == INIT or name in IN_PLACE
            if first and id(target) not in self.loaded:
                self.blank[id(target)] = target
                return target
            if name == "copy_":
                self.loaded[id(target)] = target
                self.blank.pop(id(target), None)
        return function(*arguments, **options)
