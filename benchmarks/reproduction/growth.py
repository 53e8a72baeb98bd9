"""Growth of the arms with the budget: a line through each training's means over the logarithm of the budget."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy import stats

from benchmarks.reproduction.experiment import Arm, Experiment
from benchmarks.reproduction.table import Values, cell, means_by_seed
from umt.errors import DeclarationError

EPOCHS = "training.epochs="


def growth_table(experiment: Experiment, values: Values, percents: Sequence[str]) -> str:
    """Write a line for each arm of several budgets: its mean at each, and the points that a tenfold budget brings.

    The slope is fitted for each seed; its 95% interval is Student's over seeds. Empty without such arms or seeds.
    """
    sizes = {name: _epochs(name, changes) for name, changes in experiment.budgets.items()}
    lines = list(_lines(experiment.arms, values, percents, sizes)) if len(sizes) > 1 else []
    if not lines:
        return ""
    head = ["", *sizes, "points for ten times the budget"]
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, ["---", *["---:"] * (len(head) - 1)], *lines])


def _lines(
    arms: Sequence[Arm], values: Values, percents: Sequence[str], sizes: Mapping[str, float]
) -> Iterator[list[str]]:
    for arm in arms:
        trained = [budget for budget in sizes if arm.budgets is None or budget in arm.budgets]
        means = [means_by_seed(values.get(f"{arm.name}, {budget}", {}), percents) for budget in trained]
        if len(means) > 1 and min(map(len, means)) > 1 and len(set(map(len, means))) == 1:
            cells = {budget: cell(of_budget, 1) for budget, of_budget in zip(trained, means, strict=True)}
            slope = slope_interval([sizes[budget] for budget in trained], means)
            yield [arm.name, *(cells.get(budget, "-") for budget in sizes), "{:+.1f} [{:+.1f}, {:+.1f}]".format(*slope)]


def slope_interval(sizes: Sequence[float], means: Sequence[Sequence[float]]) -> tuple[float, float, float]:
    """Fit means [budgets, seeds] over log10 of the sizes; return the mean slope over seeds and its 95% interval."""
    slopes = np.polyfit(np.log10(sizes), np.asarray(means), 1)[0]
    half = float(stats.t.ppf(0.975, len(slopes) - 1) * slopes.std(ddof=1) / math.sqrt(len(slopes)))
    middle = float(slopes.mean())
    return middle, middle - half, middle + half


def _epochs(budget: str, changes: Sequence[str]) -> float:
    """Return the epochs of a budget. Raises DeclarationError if it names none: other sizes could not be compared."""
    for change in changes:
        if change.startswith(EPOCHS):
            return float(change.removeprefix(EPOCHS))
    raise DeclarationError(
        f"budget '{budget}' of the experiment has no {EPOCHS}...; give each of several budgets its own"
    )
