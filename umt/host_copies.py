"""Copies of a device's values on the CPU, taken without making the device wait."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor


class HostCopy:
    """Copies of tensors that are on their way to the CPU; a GPU goes on with its work meanwhile."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        self.copies = [values.detach().to("cpu", non_blocking=True) for values in tensors]  # from a GPU: pinned memory
        on_gpu = next((values.device for values in tensors if values.device.type == "cuda"), None)
        self.arrival = None if on_gpu is None else torch.cuda.current_stream(on_gpu).record_event()

    @property
    def late(self) -> bool:
        """True if the values are better read after the device has its next work."""
        return self.arrival is not None

    def read(self) -> list[Tensor]:
        """Return the copies as soon as they are there."""
        if self.arrival is not None:
            self.arrival.synchronize()
        return self.copies


def on_host(batches: Iterable[Sequence[Tensor]]) -> Iterator[list[Tensor]]:
    """Yield batches on the CPU; a GPU works at the next batch while one is copied and used."""
    last: HostCopy | None = None
    for batch in batches:
        copy = HostCopy(batch)
        if last:
            yield last.read()
        last = copy
        if not copy.late:
            yield copy.read()
            last = None
    if last:
        yield last.read()
