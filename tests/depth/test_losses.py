"""The losses of depth against their formulas in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth.losses import MaskedSiLog, SigLoss


@pytest.fixture
def maps() -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truth [3, 1, 4, 5] in metres; some of the truth is not measured."""
    rng = np.random.default_rng(0)
    depth, truth = rng.uniform(0.5, 9.5, (2, 3, 1, 4, 5))
    truth[rng.random(truth.shape) < 0.3] = 0.0
    return depth, truth


def silog(depth: np.ndarray, truth: np.ndarray) -> float:
    """Return the loss of an image, with lambda 0.5 and predictions of at least 1e-6."""
    d = np.log(truth[truth > 0]) - np.log(np.maximum(depth[truth > 0], 1e-6))
    return float(np.sqrt((d**2).mean() - 0.5 * d.mean() ** 2))


def test_silog_is_the_mean_over_images(maps: tuple[np.ndarray, np.ndarray]) -> None:
    loss = MaskedSiLog()(*map(torch.from_numpy, maps))
    assert float(loss) == pytest.approx(np.mean([silog(*pair) for pair in zip(*maps, strict=True)]), rel=1e-6)


def test_silog_takes_negative_depth_as_a_millionth(maps: tuple[np.ndarray, np.ndarray]) -> None:
    depth, truth = maps
    depth[0, 0, :2] = -3.0
    loss = MaskedSiLog()(torch.from_numpy(depth), torch.from_numpy(truth))
    assert float(loss) == pytest.approx(np.mean([silog(*pair) for pair in zip(depth, truth, strict=True)]), rel=1e-6)


def test_silog_of_an_image_without_truth_is_zero(maps: tuple[np.ndarray, np.ndarray]) -> None:
    depth, truth = maps
    truth[1] = 0.0
    expected = (silog(depth[0], truth[0]) + silog(depth[2], truth[2])) / 3
    assert float(MaskedSiLog()(torch.from_numpy(depth), torch.from_numpy(truth))) == pytest.approx(expected, rel=1e-6)


def test_sig_is_over_the_batch_and_leaves_the_variance_out_at_first(maps: tuple[np.ndarray, np.ndarray]) -> None:
    depth, truth = maps
    g = np.log(depth[truth > 0] + 1e-3) - np.log(truth[truth > 0] + 1e-3)
    loss = SigLoss()
    values = [float(loss(*map(torch.from_numpy, maps))) for _ in range(101)]
    assert values[:100] == pytest.approx([np.sqrt(0.15) * abs(g.mean())] * 100)
    assert values[100] == pytest.approx(np.sqrt(g.var(ddof=1) + 0.15 * g.mean() ** 2))


def sig(depth: np.ndarray, truth: np.ndarray, warm: bool) -> float:
    """Return the loss of the pixels of all images, by AdaBins' formula."""
    g = np.log(depth[truth > 0] + 1e-3) - np.log(truth[truth > 0] + 1e-3)
    return float(np.sqrt((0.0 if warm else g.var(ddof=1)) + 0.15 * g.mean() ** 2))


def test_sig_of_groups_is_the_mean_over_gpus() -> None:
    """Eight GPUs of two images each take their own means, and their gradients are averaged; 3 forwards warm up."""
    rng = np.random.default_rng(0)
    depth, truth = rng.uniform(0.5, 9.5, (2, 16, 1, 4, 5))
    loss = SigLoss(images=2, warmup=3)
    values = [float(loss(torch.from_numpy(depth), torch.from_numpy(truth))) for _ in range(5)]
    expected = {
        warm: np.mean([sig(depth[gpu : gpu + 2], truth[gpu : gpu + 2], warm) for gpu in range(0, 16, 2)])
        for warm in (True, False)
    }
    assert values == pytest.approx([expected[True]] * 3 + [expected[False]] * 2)
    assert abs(values[-1] - sig(depth, truth, warm=False)) > 1e-4


def test_sig_goes_on_counting_with_its_weights(maps: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = SigLoss(), SigLoss()
    for _ in range(100):
        first(*map(torch.from_numpy, maps))
    second.load_state_dict(first.state_dict())
    assert float(second(*map(torch.from_numpy, maps))) == float(first(*map(torch.from_numpy, maps)))


@pytest.mark.parametrize("loss", [MaskedSiLog(), SigLoss()])
def test_no_truth_gives_no_gradient(loss: torch.nn.Module) -> None:
    depth = torch.full((1, 1, 2, 2), 2.0, requires_grad=True)
    loss(depth, torch.zeros(1, 1, 2, 2)).backward()
    assert depth.grad is not None
    assert depth.grad.tolist() == [[[[0.0, 0.0], [0.0, 0.0]]]]


def test_no_error_gives_a_finite_gradient() -> None:
    depth = torch.full((1, 1, 2, 2), 2.0, requires_grad=True)
    SigLoss()(depth, depth.detach().clone()).backward()
    assert depth.grad is not None
    assert bool(depth.grad.isfinite().all())
