"""The memory that a forward takes: by the allocator on a GPU, by its tensors on a CPU, which counts nothing."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


def peak_bytes(call: Callable[[], object], inputs: Iterable[Tensor], device: torch.device) -> int:
    """Return the most bytes that are held at once during `call`, with those of `inputs`: weights, images.

    On a CPU every tensor that an operator returns counts while it lives; what an operator takes for itself does not.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        call()
        return torch.cuda.max_memory_allocated(device)
    sizes = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in inputs}
    with _LiveTensors(sizes) as live:
        call()
    return sum(sizes.values()) + live.peak


class _LiveTensors(TorchDispatchMode):
    """A count of the bytes of all storages that operators have returned and that live, without those of the inputs."""

    def __init__(self, inputs: Mapping[int, int]) -> None:
        super().__init__()
        self.inputs = inputs
        self.tensors: Counter[int] = Counter()  # of each storage, by its address
        self.bytes = self.peak = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return tree_map_only(Tensor, self._add, function(*args, **(kwargs or {})))

    def _add(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        address, size = storage.data_ptr(), storage.nbytes()
        if address and address not in self.inputs:
            self.bytes += 0 if self.tensors[address] else size
            self.tensors[address] += 1
            self.peak = max(self.peak, self.bytes)
            weakref.finalize(tensor, self._remove, address, size)
        return tensor

    def _remove(self, address: int, size: int) -> None:
        self.tensors[address] -= 1
        self.bytes -= 0 if self.tensors[address] else size
