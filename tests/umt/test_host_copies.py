"""Values on their way from a device."""

from __future__ import annotations

import pytest
import torch

from umt.host_copies import HostCopy, on_host


def test_values_of_the_cpu_are_there_at_once() -> None:
    copy = HostCopy([torch.ones(2, requires_grad=True)])
    assert not copy.late
    (values,) = copy.read()
    assert not values.requires_grad
    assert values.tolist() == [1, 1]


@pytest.mark.parametrize(("late", "asked"), [(False, [1, 2, 3]), (True, [2, 3, 3])])
def test_a_batch_waits_until_the_next_is_computed_if_it_is_late(
    monkeypatch: pytest.MonkeyPatch, late: bool, asked: list[int]
) -> None:
    monkeypatch.setattr(HostCopy, "late", late)
    computed = 0

    def batches():  # type: ignore[no-untyped-def]
        nonlocal computed
        for computed in (1, 2, 3):
            yield [torch.tensor([computed])]

    found = [(batch[0].item(), computed) for batch in on_host(batches())]
    assert found == list(zip([1, 2, 3], asked, strict=True))
