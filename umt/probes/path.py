"""Logistic regression under every penalty of a grid, each to a certified gap."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from umt.errors import DeclarationError, NotFiniteError, SizeError
from umt.probes.certificate import Certificate, certify
from umt.probes.newton import newton_step
from umt.probes.objective import Point, SoftmaxObjective
from umt.probes.rotation import Rotation
from umt.training.precision import has_bf16_products

MAX_STEPS = 40  # Newton steps a penalty, in all precisions together
PENALTY_STRIDE = 10.0  # factor from a penalty to the next
INTERMEDIATE_GAP = 1e-3  # relative gap under penalties between the requested ones
MAX_HALVINGS = 8  # halvings of a step that does not descend
MAX_GAP_LEFT = 0.5  # a step that leaves more than this share of the gap asks for products of a higher precision


@dataclass(frozen=True)
class Fit:
    """The probe under one penalty: weights [D, C] float64 and bias [C] of features as they were given.

    value: sum of cross-entropies + penalty / 2 * norm(weights)^2. gap: bound of `value` minus its minimum, as a share
    of `value`; `certified` tells if it is within the requested gap. classes [C]: the labels that occur.
    """

    penalty: float
    weights: Tensor
    bias: Tensor
    classes: np.ndarray
    value: float
    gap: float
    certified: bool

    def logits(self, features: np.ndarray) -> Tensor:
        """Return the logits [N, C] of features [N, D], float64 on the CPU."""
        rows = torch.from_numpy(features).to(self.weights.device, torch.float64)
        return torch.addmm(self.bias, rows, self.weights).cpu()

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the label [N] of features [N, D]."""
        labels: np.ndarray = self.classes[self.logits(features).argmax(dim=1).numpy()]
        return labels


def penalty_path(
    features: np.ndarray,
    labels: np.ndarray,
    penalties: Sequence[float],
    *,
    gap: float = 1e-6,
    device: torch.device | None = None,
) -> Iterator[Fit]:
    """Minimise sum of cross-entropies + penalty / 2 * norm(weights)^2 for each penalty, from strong to weak.

    features [N, D], labels [N] of any integers; the bias is not penalised. scikit-learn's C is 1 / penalty. Every fit
    is within `gap` of its optimum relative to the objective, or says that it is not. Raises UMTError for values that
    are not finite and penalties that are not positive.
    """
    _check(features, labels, penalties)
    device = device or torch.device("cpu")
    classes, targets = np.unique(labels, return_inverse=True)
    raw = torch.from_numpy(np.asarray(features)).to(device, torch.float64)
    rotation = Rotation.of(raw)
    objective = SoftmaxObjective.of(rotation.apply(raw), torch.from_numpy(targets).to(device))
    solver = Solver(objective)
    points: list[Point] = []
    for penalty in stepping_stones(penalties, solver.energies.max().item()):
        is_requested = penalty in penalties
        guess = _first_guess(objective, points, penalty) if points else objective.start(penalty)
        point, certificate = solver.solve(guess, gap if is_requested else max(gap, INTERMEDIATE_GAP))
        points = [*points[-2:], point]
        if is_requested:
            weights, bias = rotation.outward(point.weights, point.bias)
            certified = certificate.gap <= gap * point.value
            yield Fit(penalty, weights, bias, classes, point.value, certificate.relative, certified)


def stepping_stones(penalties: Sequence[float], energy: float) -> list[float]:
    """Return the penalties from strong to weak, with others between them so that no step is longer than STRIDE.

    The first is no weaker than the features' greatest sum of squares, at which a single Newton step all but solves it.
    """
    stones = [energy] if energy > max(penalties) else []
    for penalty in sorted(set(penalties), reverse=True):
        if stones:
            strides = math.ceil(math.log(stones[-1] / penalty) / math.log(PENALTY_STRIDE))
            stones += np.geomspace(stones[-1], penalty, strides + 1)[1:-1].tolist()
        stones.append(penalty)
    return stones


def _check(features: np.ndarray, labels: np.ndarray, penalties: Sequence[float]) -> None:
    if not len(features) or len(features) != len(labels):
        raise SizeError(f"{len(features)} rows of features and {len(labels)} labels; a probe needs one label a row")
    if not np.isfinite(features).all():
        row = int((~np.isfinite(features).all(axis=1)).argmax())
        raise NotFiniteError(f"features: row {row} holds a value that is not finite; check the backbone on that image")
    if not all(0 < penalty < math.inf for penalty in penalties):
        raise DeclarationError(f"penalties are {list(penalties)}; each must be positive and finite")


def _first_guess(objective: SoftmaxObjective, points: Sequence[Point], penalty: float) -> Point:
    """Extrapolate in the logarithm of the penalty through up to three points, or take the last if it is better."""
    places = [math.log(point.penalty) for point in points]
    shares = [
        math.prod(
            (math.log(penalty) - other_position) / (position - other_position)
            for other_position in places
            if other_position != position
        )
        for position in places
    ]
    guess, last = objective.between(points, shares, penalty), points[-1]
    return guess if guess.value <= last.value_under(penalty) else objective.between([last], [1.0], penalty)


class Solver:
    """A Newton solver with products in the fastest precision that still makes progress, all else in float64."""

    def __init__(self, objective: SoftmaxObjective) -> None:
        self.objective = objective
        self.energies = objective.rows.square().sum(dim=0)
        bf16 = has_bf16_products(objective.rows.device)
        kinds = ([torch.bfloat16] if bf16 else []) + [torch.float32]
        self.ladder = [objective.rows.to(kind) for kind in kinds] + [objective.rows]

    def solve(self, point: Point, gap: float) -> tuple[Point, Certificate]:
        """Return the first point whose relative gap is certified, or the best that float64 reaches in MAX_STEPS."""
        certificate, rung = certify(self.objective, point), 0
        for _ in range(MAX_STEPS):
            if certificate.gap <= gap * point.value:
                break
            before, better = certificate.gap, self._step(point, self.ladder[rung], gap)
            if better is not None:
                point, certificate = better, certify(self.objective, better)
            elif rung == len(self.ladder) - 1:
                break
            if better is None or certificate.gap > MAX_GAP_LEFT * before:
                rung = min(rung + 1, len(self.ladder) - 1)
        return point, certificate

    def _step(self, point: Point, rows: Tensor, gap: float) -> Point | None:
        """Return the point that a Newton step leads to, shortened until it descends; None if it does not."""
        weights, bias = newton_step(point, rows, self.objective.targets, self.energies, gap)
        for halvings in range(MAX_HALVINGS):
            length = 0.5**halvings
            candidate = self.objective.at(point.weights + length * weights, point.bias + length * bias, point.penalty)
            if candidate.value < point.value:
                return candidate
        return None
