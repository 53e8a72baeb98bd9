"""The bytes of a forward, counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.memory import peak_bytes

CPU = torch.device("cpu")
KILO = torch.zeros(256)  # a thousand bytes


def test_tensors_that_are_gone_do_not_count() -> None:
    def chain() -> torch.Tensor:
        values = KILO
        for _ in range(10):
            values = values + 1  # two of them live at once
        return values

    assert peak_bytes(chain, [KILO], CPU) == 3 * 1024


def test_views_and_changes_in_place_take_nothing() -> None:
    assert peak_bytes(lambda: [KILO.view(16, 16), KILO[:3], KILO.mul_(1)], [KILO], CPU) == 1024
    assert peak_bytes(lambda: (KILO + 1).view(16, 16).t().mul_(2), [KILO], CPU) == 2 * 1024


@torch.no_grad()
@pytest.mark.parametrize("layers", [2, 6])
def test_a_network_holds_its_weights_and_two_activations(layers: int) -> None:
    network = nn.Sequential(*(nn.Linear(64, 64, bias=False) for _ in range(layers)))
    rows = torch.zeros(128, 64)
    given = [rows, *network.parameters()]
    assert peak_bytes(lambda: network(rows), given, CPU) == 4 * (layers * 64 * 64 + 3 * 128 * 64)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_counts_the_same() -> None:
    device = torch.device("cuda")
    rows = torch.zeros(1024, 1024, device=device)
    before = torch.cuda.memory_allocated()
    assert peak_bytes(lambda: rows + 1, [rows], device) - before == 4 << 20
