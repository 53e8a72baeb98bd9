"""Weights in memory once: a model is built without random numbers, and takes the tensors of a file as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

INIT = "torch.nn.init"  # the module of torch's own ways to give a new parameter its first values
IN_PLACE = frozenset(("uniform_", "normal_", "erfinv_", "mul_", "add_", "sub_", "div_", "clamp_", "zero_", "fill_"))


@contextmanager
def uninitialised() -> Iterator[None]:
    """Leave the parameters of models that are built here without values, and so without memory.

    Buffers are made as ever. Whoever builds so must load every parameter from a file.
    """
    with _Skip():
        yield


def adopt(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Put tensors in the place of parameters and buffers, without a copy where type and storage allow it."""
    state, storages, adopted = model.state_dict(), set[int](), dict[str, Tensor]()
    for name, value in tensors.items():
        tensor = value.to(state[name].dtype).contiguous()
        storage = tensor.untyped_storage()
        if storage.data_ptr() in storages or storage.nbytes() != tensor.nbytes:  # shared with others, in the file
            tensor = tensor.clone()
        storages.add(tensor.untyped_storage().data_ptr())
        adopted[name] = tensor.to(state[name].device)
    model.load_state_dict(adopted, strict=False, assign=True)


class _Skip(TorchFunctionMode):
    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        arguments: tuple[Any, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = options or {}
        target = arguments[0] if arguments else options.get("tensor")
        first = getattr(function, "__module__", "") == INIT or getattr(function, "__name__", "") in IN_PLACE
        if first and isinstance(target, nn.Parameter):
            return target
        return function(*arguments, **options)
