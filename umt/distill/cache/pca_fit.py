"""Fitting of bases: the directions of a principal component analysis, and the bits that each is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import Tensor

from umt.distill.cache.pca import Basis
from umt.errors import CacheError

# Steps of uniform codes that lose least of a normal value of variance 1, and their squared errors, by the bits of a
# code. Max, Quantizing for minimum distortion, IRE Transactions on Information Theory 6 (1960), has those up to 5 bits.
# Without bits the mean stands for every value.
STEPS = (0.0, 1.596, 0.9957, 0.5860, 0.3352, 0.1881, 0.1041, 0.0569, 0.0308)
SQUARED_ERRORS = (1.0, 0.3634, 0.1188, 0.03744, 0.01154, 0.003495, 0.001040, 0.0003043, 0.0000877)
SMALLER = 6  # times than fp16
HELD_OUT = 8  # one view in so many is not fitted on, but measures the error

Extent = tuple[int, int]  # channels, and cells of a map; 1 cell for a vector


def target_bytes(extents: Mapping[str, Extent], overhead: int) -> int:
    """Return the bytes for all targets of a view, so that they take a sixth of fp16, `overhead` bytes included.

    Targets that are not much larger than the overhead get an eighth of their own bytes.
    """
    halves = 2 * sum(width * cells for width, cells in extents.values())
    return max(halves // 8, (halves + overhead) // SMALLER - overhead)


def fit_bases(
    samples: Mapping[str, Tensor], extents: Mapping[str, Extent], total: int
) -> tuple[dict[str, Basis], dict[str, float]]:
    """Fit a basis to each sample [views, vectors, C], at most `total` bytes a view, and measure its error elsewhere."""
    bases: dict[str, Basis] = {}
    errors: dict[str, float] = {}
    fitted, tested = {}, {}
    for name, sample in samples.items():
        if not sample.isfinite().all():
            raise CacheError(
                f"'{name}': the teacher gives values that are not finite; leave it out of the cache's recipe"
            )
        is_tested = torch.arange(len(sample)) % HELD_OUT == HELD_OUT - 1
        fitted[name] = principal_components(sample[~is_tested].flatten(0, 1))
        tested[name] = sample[is_tested if is_tested.any() else ~is_tested].flatten(0, 1)
    bits = choose_bits({name: variances for name, (_, _, variances) in fitted.items()}, extents, total)
    for name, (mean, components, variances) in fitted.items():
        bases[name] = _basis(mean, components, variances, bits[name])
        errors[name] = bases[name].error(tested[name])
    return bases, errors


def principal_components(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean [C], components [C, C] and variances [C] of vectors [N, C], largest first, in float64.

    Few vectors say little of the small variances, and nothing of directions outside their span. So the covariance is
    drawn towards a multiple of one (Ledoit and Wolf, Journal of Multivariate Analysis 88, 2004).
    """
    mean = vectors.double().mean(dim=0)
    centred = vectors.double() - mean
    variances, components = torch.linalg.eigh(centred.T @ centred / len(centred))
    shrinkage = ledoit_wolf_shrinkage(centred.numpy(), assume_centered=True)
    variances = (1 - shrinkage) * variances.clamp_min(0) + shrinkage * variances.mean()
    return mean, components.T.flip(0), variances.flip(0)


def choose_bits(variances: Mapping[str, Tensor], extents: Mapping[str, Extent], total: int) -> dict[str, Tensor]:
    """Return the bits [C] of the components of each target, so that the targets' codes take at most `total` bytes.

    The squared errors of the targets over their variances have the smallest sum, up to the fit of the last bytes.
    """
    # A target's bits are ordered by the error that each takes away, and eight of them are a byte of every cell. No bit
    # of a component comes before a higher one, since each takes away less than the one before.
    reductions = -torch.tensor(SQUARED_ERRORS, dtype=torch.float64).diff()
    orders, gains, cells, names = {}, [], [], []
    for name, values in variances.items():
        shares = values / values.sum().clamp_min(torch.finfo(torch.float64).tiny)
        by_bit, orders[name] = (reductions[:, None] * shares).flatten().sort(descending=True, stable=True)
        by_byte = by_bit.view(-1, 8).sum(dim=1)
        count = extents[name][1]
        gains.append(by_byte / count)
        cells.append(torch.full((len(by_byte),), count))
        names += [name] * len(by_byte)
    order = torch.cat(gains).argsort(descending=True, stable=True)
    byte_count = int((torch.cat(cells)[order].cumsum(dim=0) <= total).sum())
    bytes_of = Counter(names[index] for index in order[:byte_count].tolist())
    return {
        name: torch.bincount(orders[name][: 8 * bytes_of[name]] % len(values), minlength=len(values))
        for name, values in variances.items()
    }


def _basis(mean: Tensor, components: Tensor, variances: Tensor, bits: Tensor) -> Basis:
    order = bits.argsort(descending=True, stable=True)[: int((bits > 0).sum())]
    steps = torch.tensor(STEPS, dtype=torch.float64)[bits[order]] * variances[order].sqrt()
    smallest = torch.finfo(torch.float32).eps
    return Basis(
        mean.float(), components[order].float(), steps.clamp_min(smallest).float(), bits[order].to(torch.uint8)
    )
