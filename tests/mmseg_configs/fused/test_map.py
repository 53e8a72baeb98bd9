"""Class maps, compiled and in plain torch, against resize, cut, resize and argmax in float64."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from mmseg_configs.fused.map import chunked_class_map, class_map, kernel, warm_up
from mmseg_configs.fused.resampling import evaluation

Shape = tuple[int, int]
Map = Callable[..., Tensor]


def check(make: Map, logits: Tensor, padded: Shape, kept: Shape, size: Shape) -> Tensor:
    """The prediction; equal to the reference wherever its two largest values differ by more than 1e-6."""
    up = interpolate(logits[None].double(), size=padded, mode="bilinear")[..., : kept[0], : kept[1]]
    values = interpolate(up, size=size, mode="bilinear")[0]
    rows, columns = (
        evaluation(logits.shape[1 + axis], padded[axis], (0,), (0, kept[axis]), size[axis]) for axis in (0, 1)
    )
    found = make(logits, rows, columns)
    clear = torch.ones(size, dtype=torch.bool)
    if len(values) > 1:
        first, second = values.topk(2, dim=0).values
        clear = first - second > 1e-6 * max(1.0, float(values.abs().max()))
    assert found.dtype == torch.int64
    assert torch.equal(found[clear], values.argmax(0)[clear])
    return found


@pytest.fixture(params=["compiled", "torch"])
def make(request: pytest.FixtureRequest) -> Map:
    if request.param == "torch":
        return chunked_class_map
    if kernel() is None:
        pytest.skip("numba is not installed")
    return class_map


@pytest.mark.parametrize(
    ("grid", "padded", "kept", "size"),
    [
        ((8, 11), (128, 176), (120, 171), (151, 214)),  # padded, then enlarged
        ((8, 8), (64, 64), (64, 64), (64, 64)),
        ((13, 5), (104, 40), (97, 33), (50, 17)),  # made smaller
        ((1, 1), (32, 32), (20, 32), (20, 32)),
        ((1, 6), (14, 84), (14, 84), (14, 80)),
        ((64, 64), (64, 64), (64, 60), (64, 60)),  # as many logits as pixels
        ((40, 40), (20, 20), (20, 20), (33, 33)),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e30])
def test_noise(make: Map, grid: Shape, padded: Shape, kept: Shape, size: Shape, scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    check(make, torch.randn(23, *grid, generator=generator) * scale, padded, kept, size)


def test_smooth_logits(make: Map) -> None:
    coarse = torch.randn(1, 150, 4, 5, generator=torch.Generator().manual_seed(0))
    check(make, interpolate(coarse, size=(16, 20), mode="bicubic")[0], (256, 320), (256, 300), (341, 400))


def test_one_class(make: Map) -> None:
    assert not check(make, torch.randn(1, 3, 4), (24, 32), (24, 32), (24, 32)).any()


def test_ties_go_to_the_first_class(make: Map) -> None:
    """Every class twice, and a map that is the same for all: the copy with the smaller index wins everywhere."""
    noise = torch.randn(5, 6, 6, generator=torch.Generator().manual_seed(0))
    assert check(make, noise.repeat(2, 1, 1), (96, 96), (90, 96), (120, 128)).max() < 5
    assert not check(make, torch.full((7, 4, 4), 3.0), (64, 64), (64, 64), (80, 80)).any()


def test_a_thin_winner_inside_a_cell_is_found(make: Map) -> None:
    """The third class is the largest only in the middle between two nodes."""
    logits = torch.tensor([[[4.0, -4.0]], [[-4.0, 4.0]], [[0.5, 0.5]]])
    found = check(make, logits, (8, 64), (8, 64), (8, 64))
    assert found[0].unique().tolist() == [0, 1, 2]


def test_real_logits_of_a_trained_head(make: Map, trained_logits: list[Tensor]) -> None:
    for logits in trained_logits:
        check(make, logits, (256, 352), (256, 341), (300, 400))


@pytest.fixture
def fresh_kernel() -> Iterator[None]:
    kernel.cache_clear()
    yield
    kernel.cache_clear()


def broken(**loops: Any) -> ModuleType:
    module = ModuleType("mmseg_configs.fused.kernel")
    vars(module).update(loops)
    return module


def refuse(*_: object) -> None:
    raise OSError(28, "No space left on device")  # where numba keeps its machine code


@pytest.mark.usefixtures("fresh_kernel")
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (None, "numba"),  # an import that fails, as that of a numba which does not know this NumPy
        (broken(class_map=refuse), "No space left on device"),
        (broken(class_map=lambda *_: None, count=lambda *_: None), "wrong maps"),
    ],
)
def test_loops_that_fail_are_left_out_with_one_line(
    module: ModuleType | None, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("mmseg_configs.fused.map.find_spec", lambda name: True)
    monkeypatch.setitem(sys.modules, "mmseg_configs.fused.kernel", module)
    if module is None:
        monkeypatch.delitem(sys.modules, "mmseg_configs.fused.kernel")
        monkeypatch.setitem(sys.modules, "numba", None)
    warm_up(torch.device("cpu"))
    check(class_map, torch.randn(5, 4, 4), (32, 32), (32, 32), (40, 40))
    [record] = caplog.records
    assert reason in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.usefixtures("fresh_kernel")
def test_a_gpu_asks_for_no_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmseg_configs.fused.map.import_module", refuse)
    warm_up(torch.device("cuda"))
    assert kernel.cache_info().currsize == 0


def test_without_a_place_for_machine_code_it_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    numba = pytest.importorskip("numba")
    loops = pytest.importorskip("mmseg_configs.fused.kernel")
    make = numba.njit

    def without_locator(*arguments: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function '_fill': no locator available for file 'kernel.py'")
        return make(*arguments, **options)

    monkeypatch.setattr(loops, "njit", without_locator)
    block = np.zeros((2, 3), np.int64)
    loops.compiled(loops._fill.py_func)(block, 7)
    assert (block == 7).all()
