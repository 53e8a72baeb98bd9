"""DINOv2's 52 linear heads in one step: against one module a head, and against the matrix products alone."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.perf.machine import clock_of
from benchmarks.perf.row import PerfRow, interleaved
from benchmarks.tasks.dinov2_linear import MOMENTUM
from umt.probes.heads import Heads

WIDTHS = (384, 768, 1536, 1920)  # a ViT-S: its last token or its last four, without and with the pooled feature
RATES = tuple(0.1 / 2**index for index in range(13))
CLASSES, BATCH, REPEATS = 100, 128, 10


def measure(device: torch.device) -> list[PerfRow]:
    """Measure a step: at least 5 times as fast as a module a head, at most 1.25 of its two matrix products."""
    generator = torch.Generator(device).manual_seed(0)
    targets = torch.randint(0, CLASSES, (BATCH,), generator=generator, device=device)
    features = [torch.randn(BATCH, width, generator=generator, device=device) for width in WIDTHS]
    banks = [Heads(width, CLASSES, RATES, generator) for width in WIDTHS]
    steps = (_modules(features, targets), _banks(banks, features, targets), _products(banks, features))
    for step in steps:
        step()
    peer, ours, floor = interleaved(*steps, repeats=REPEATS, clock=clock_of(device))
    job = f"a step of {len(WIDTHS) * len(RATES)} linear heads, batch {BATCH}, {CLASSES} classes, fp32"
    return [
        PerfRow(job, "one module a head, autograd, torch's SGD", peer, ours, limit=5),
        PerfRow(job, "the two matrix products alone", floor, ours, limit=1 / 1.25),
    ]


def _modules(features: list[Tensor], targets: Tensor) -> Callable[[], object]:
    heads = [(index, nn.Linear(width, CLASSES).to(targets.device)) for index, width in enumerate(WIDTHS) for _ in RATES]
    groups = [
        {"params": head.parameters(), "lr": rate} for (_, head), rate in zip(heads, RATES * len(WIDTHS), strict=True)
    ]
    optimiser = torch.optim.SGD(groups, momentum=MOMENTUM)

    def step() -> None:
        optimiser.zero_grad()
        losses = [F.cross_entropy(head(features[index]), targets) for index, head in heads]
        torch.stack(losses).sum().backward()
        optimiser.step()

    return step


def _banks(banks: list[Heads], features: list[Tensor], targets: Tensor) -> Callable[[], object]:
    parameters = [value for bank in banks for value in bank.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=1.0, momentum=MOMENTUM)

    def step() -> None:
        optimiser.zero_grad()
        losses = [bank.losses(rows, targets) for bank, rows in zip(banks, features, strict=True)]
        torch.cat(losses).sum().backward()
        optimiser.step()

    return step


def _products(banks: list[Heads], features: list[Tensor]) -> Callable[[], object]:
    errors = [rows @ bank.weights.detach() for bank, rows in zip(banks, features, strict=True)]

    def step() -> None:
        for bank, rows, error in zip(banks, features, errors, strict=True):
            torch.mm(rows, bank.weights.detach())
            torch.mm(rows.T, error)

    return step
