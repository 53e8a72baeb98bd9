r"""A bound on the distance of a point from the optimum of a linear probe, without knowing the optimum.

With losses L(W, b) = sum of cross-entropies over rows z_i, F = L + penalty / 2 * |W|^2, softmax p_i and targets y_i:
logsumexp(s) >= q . s + H(q) for every distribution q, with equality at the softmax (Fenchel). So for distributions q_i
whose sum over images is the count of every class, which frees the bound from the unpenalised bias,

    F(W', b') >= sum_i H(q_i) + <G(q), W'> + penalty / 2 * |W'|^2 >= sum_i H(q_i) - |G(q)|^2 / (2 penalty)

for all W', b', where G(q) = sum_i z_i (q_i - y_i)'. The right side is a lower bound of the minimum.
At the best bias for W the softmax itself is such a q, and F minus the bound is |gradient|^2 / (2 penalty), the bound of
strong convexity. Elsewhere q_i = (1 - e) p_i + e t mixes in one distribution t so that the counts are right; the least
e that leaves t non-negative is taken. Rows are centred, so that G(t) = -sum_i z_i y_i' whatever t is, and H is concave,
so that H(q_i) >= (1 - e) H(p_i) + e H(t). Terms that cancel are cancelled here by algebra, not by subtraction:

    gap = |penalty W + G(q)|^2 / (2 penalty) + e <G(p) - G(t), W> + r . b + e (sum_i H(p_i) - N H(t))

where r = sum_i p_i - y_i. The bound is exact up to the rounding of float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from umt.probes.objective import Point, SoftmaxObjective


@dataclass(frozen=True)
class Certificate:
    """A certificate. gap: upper bound of the objective minus its minimum; relative: its share of the objective."""

    gap: float
    relative: float


def certify(objective: SoftmaxObjective, point: Point) -> Certificate:
    """Return the bound of the module's docstring at a point; relative is 0 if a single class leaves nothing to lose."""
    residual, total = point.bias_gradient, objective.counts.sum()
    share = (residual / (objective.counts + residual)).max().clamp(0, 1)
    lever = point.slope + objective.class_sums  # G(p) - G(t)
    gap = (point.gradient - share * lever).square().sum() / (2 * point.penalty)
    if share > 0:
        entropy = point.loss - (point.slope * point.weights).sum() - residual @ point.bias  # entropy of all softmaxes
        mixed = (objective.counts - (1 - share) / share * residual).clamp_min(0) / total
        mixing = entropy + (lever * point.weights).sum() + total * torch.xlogy(mixed, mixed).sum()
        gap = gap + residual @ point.bias + share * mixing
    value = point.value
    return Certificate(float(gap), float(gap) / value if value else 0.0)
