"""The first principal components of very many tokens, by subspace iteration that starts from a sixteenth of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from umt.errors import NotFiniteError, SizeError

SAMPLE_STRIDE = 16  # every 16th token is enough for a start that is nearly right
# directions beside the wanted ones in the start: they hold directions that would slow the wanted ones down
SPARE_DIRECTIONS = 13
WARM_STEPS = 4
MAX_STEPS = 8  # after which the whole covariance is the cheaper way
MAX_ANGLE_SINE = 1e-5  # sine of the angle between the space of the components and the exact one, at most
ROUNDING = 1e-12  # share of the squared mean: a smaller variance is rounding of float32
CHUNK_TOKENS = 256  # tokens that are multiplied at once: they stay in the cache between the two products


@dataclass(frozen=True)
class Components:
    """Mean [D]; axes [count, D] of unit length, strongest first; variances [count]; total: that of all dimensions."""

    mean: Tensor
    axes: Tensor
    variances: Tensor
    total: float

    @property
    def explained(self) -> list[float]:
        """The share of the variance that each component holds."""
        return [float(variance) / self.total for variance in self.variances]

    def project(self, tokens: Tensor) -> Tensor:
        """Return coordinates [N, count] of tokens [N, D]."""
        return (tokens - self.mean) @ self.axes.T


def principal_components(tokens: Tensor, count: int = 3) -> Components:
    """Compute components of tokens float32 [N, D], with signs that make the largest entry of every axis positive.

    The axes span the space of the exact covariance's axes, within MAX_ANGLE_SINE by Davis and Kahan's bound; if the
    spectrum is too flat for iterations to tell directions apart, they are taken from that covariance itself.
    Raises UMTError for fewer tokens or dimensions than components, or tokens that do not vary.
    """
    if min(tokens.shape) <= count:
        raise SizeError(
            f"{count} principal components of {tokens.shape[0]} tokens with {tokens.shape[1]} dimensions; take fewer"
        )
    components = _iterated(tokens, count) or _exact(tokens, count)
    signs = components.axes.gather(1, components.axes.abs().argmax(dim=1, keepdim=True)).sign()
    return replace(components, axes=components.axes * signs)


def _iterated(tokens: Tensor, count: int) -> Components | None:
    """Iterate Rayleigh-Ritz in a space that grows by the residuals of the wanted axes, as in Davidson's method.

    Each residual is added together with its image under the sample's covariance: that costs a pass over the tokens
    little, and saves one pass in four if the spectrum is flat.
    Returns None if the axes do not settle, or if the covariance of so few dimensions costs nothing.
    """
    width = count + SPARE_DIRECTIONS
    if tokens.shape[1] <= width + 2 * count * MAX_STEPS:  # the largest width of the space
        return None
    sample = tokens[::SAMPLE_STRIDE].contiguous()
    shift = _mean(sample)
    mean, total, basis, images = _first_pass(tokens, shift, _warm_start(sample, shift, width))
    for _ in range(MAX_STEPS):
        values, ritz = torch.linalg.eigh(images @ basis.T)
        values, leading = values.flip(0), ritz.flip(1)[:, :count].T
        axes = leading @ basis
        residuals = leading @ images - values[:count, None] * axes
        if torch.linalg.matrix_norm(residuals, 2) <= MAX_ANGLE_SINE * (values[count - 1] - values[count]):
            return _components(len(tokens), mean, axes, values[:count], total)
        followed = torch.cat([residuals, _scatter(sample, shift, residuals)])
        fresh = _orthonormal(followed, basis)
        basis = torch.cat([basis, fresh])
        images = torch.cat([images, _scatter(tokens, mean, fresh)])
    return None


def _first_pass(tokens: Tensor, shift: Tensor, basis: Tensor) -> tuple[Tensor, float, Tensor, Tensor]:
    """Return mean [D], sum of squares, start [width, D] and its images under the scatter matrix, from one reading.

    Tokens are moved by the mean of the sample; the difference from their own mean is taken off afterwards.
    """
    single, total = basis.float(), 0.0
    images = basis.new_zeros(len(basis) + 1, tokens.shape[1])
    for centred in _centred(tokens, shift):
        weights = torch.cat([single @ centred.T, centred.new_ones(1, len(centred))])
        images += weights @ centred
        total += float(torch.linalg.vector_norm(centred)) ** 2
    images, offset = images[:-1], images[-1] / len(tokens)
    mean = (shift + offset).float()
    total = _checked(total - len(tokens) * float(offset @ offset), mean, len(tokens))
    images = images - len(tokens) * torch.outer(basis @ offset, offset)
    return mean, total, basis, images


def _warm_start(sample: Tensor, mean: Tensor, width: int) -> Tensor:
    """Return the approximate strongest directions [width, D] of a part of the tokens."""
    generator = torch.Generator().manual_seed(0)
    basis = torch.randn(width, sample.shape[1], generator=generator, dtype=torch.float64).to(sample.device)
    for _ in range(WARM_STEPS):
        basis = torch.linalg.qr(_scatter(sample, mean, basis).T)[0].T
    return basis


def _exact(tokens: Tensor, count: int) -> Components:
    """Compute components from the scatter matrix in float64."""
    mean = _mean(tokens)
    scatter = torch.zeros(2 * tokens.shape[1:], dtype=torch.float64, device=tokens.device)
    for centred in _centred(tokens, mean):
        scatter += centred.double().T @ centred.double()
    total = _checked(float(scatter.trace()), mean, len(tokens))
    values, vectors = torch.linalg.eigh(scatter)
    return _components(len(tokens), mean, vectors.flip(1)[:, :count].T, values.flip(0)[:count], total)


def _components(rows: int, mean: Tensor, axes: Tensor, values: Tensor, total: float) -> Components:
    """Compute components from eigenvalues and trace of the scatter matrix."""
    return Components(mean, axes.float(), (values / (rows - 1)).float(), total / (rows - 1))


def _checked(total: float, mean: Tensor, rows: int) -> float:
    """Return the total; raise NotFiniteError if it is not finite, or no more than the rounding of equal tokens."""
    if not ROUNDING * rows * float(mean @ mean) < total < float("inf"):
        raise NotFiniteError(
            f"principal components of {rows} tokens are undefined: all are the same, or some not finite; check weights"
        )
    return total


def _mean(tokens: Tensor) -> Tensor:
    """Return the mean [D] as one product: torch's own sum over a large matrix's rows takes several times as long."""
    return tokens.new_ones(len(tokens)) @ tokens / len(tokens)


def _scatter(tokens: Tensor, mean: Tensor, vectors: Tensor) -> Tensor:
    """Multiply vectors [K, D] by the sum of (x - mean)(x - mean)' over tokens; chunks in float32, sums in float64."""
    total, single = torch.zeros_like(vectors), vectors.float()
    for centred in _centred(tokens, mean):
        total += (single @ centred.T) @ centred
    return total


def _centred(tokens: Tensor, mean: Tensor) -> Iterator[Tensor]:
    """Yield chunks of the tokens without their mean, each in the memory of the chunk before."""
    buffer = torch.empty_like(tokens[:CHUNK_TOKENS])
    for chunk in tokens.split(CHUNK_TOKENS):
        yield torch.sub(chunk, mean, out=buffer[: len(chunk)])


def _orthonormal(vectors: Tensor, basis: Tensor) -> Tensor:
    """Return an orthonormal basis of the vectors' part outside of `basis`; twice, since once leaves rounding errors."""
    for _ in range(2):
        vectors = vectors - vectors @ basis.T @ basis
        vectors = torch.linalg.qr(vectors.T)[0].T
    return vectors
