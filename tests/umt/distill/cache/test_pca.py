"""Targets as principal components of few bits: no more than a sixth of the size, never of another basis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from umt.declarations import build
from umt.distill.cache.cache import MANIFEST, CachedViews, Manifest, open_cache, shard_bytes, shard_path
from umt.distill.cache.pca import BASES_FILE, PARTS, Basis
from umt.distill.cache.writer import size_of_view
from umt.distill.distiller import as_floats
from umt.distill.images import Skipped
from umt.distill.ingredients import Prepared
from umt.distill.teachers.teacher import all_targets
from umt.errors import UMTError

Make = Callable[..., CachedViews]
BITS = [8, 5, 3, 3, 2, 1, 1, 1]
STEPS = [0.02, 0.1, 0.4, 0.3, 0.5, 0.9, 0.8, 0.7]


def basis_of(width: int = 24) -> Basis:
    """Draw eight orthonormal components with codes of 24 bits."""
    rng = np.random.default_rng(0)
    components = np.linalg.qr(rng.standard_normal((width, width)))[0][:8]
    mean = rng.standard_normal(width)
    arrays = (np.asarray(values, dtype=np.float32) for values in (mean, components, STEPS))
    return Basis(*map(torch.from_numpy, arrays), torch.tensor(BITS, dtype=torch.uint8))


def values_around(basis: Basis, count: int) -> torch.Tensor:
    noise = torch.randn(count, len(basis.mean), generator=torch.Generator().manual_seed(1))
    return basis.mean + noise


def test_decoded_values_are_the_nearest_levels_of_the_components() -> None:
    """Compare with a list of all levels of each component, in float64."""
    basis = basis_of()
    values = values_around(basis, 50)
    components = basis.components.double().numpy()
    expected = np.tile(basis.mean.double().numpy(), (50, 1))
    for component, step, bits in zip(components, STEPS, BITS, strict=True):
        levels = (np.arange(2**bits) - 2 ** (bits - 1) + 0.5) * step
        coordinates = (values.double().numpy() - basis.mean.double().numpy()) @ component
        expected += np.outer(levels[np.abs(coordinates[:, None] - levels).argmin(axis=1)], component)
    decoded = basis.decode(basis.encode(values))
    np.testing.assert_allclose(decoded.double().numpy(), expected, rtol=2**-10, atol=2**-10)


def test_codes_take_the_bytes_of_their_bits() -> None:
    basis = basis_of()
    assert basis.width == 3
    assert basis.encode(values_around(basis, 5)).shape == (5, 3)


def test_maps_are_coded_cell_by_cell() -> None:
    basis = basis_of()
    vectors = values_around(basis, 60)
    maps = vectors.view(5, 4, 3, 24).permute(0, 3, 1, 2)
    assert basis.encode(maps).shape == (5, 4, 3, 3)
    decoded = basis.decode(basis.encode(maps))
    assert decoded.shape == maps.shape
    assert torch.equal(decoded.permute(0, 2, 3, 1).flatten(0, 2), basis.decode(basis.encode(vectors)))


def test_larger_values_than_any_fitted_one_are_cut_and_do_not_wrap() -> None:
    basis = basis_of()
    far = basis.mean + 1000 * basis.components.sum(dim=0)
    for sign, values in ((1, far), (-1, 2 * basis.mean - far)):
        coordinates = (basis.decode(basis.encode(values[None]))[0].float() - basis.mean) @ basis.components.T
        largest = torch.tensor([(2 ** (bits - 1) - 0.5) * step for bits, step in zip(BITS, STEPS, strict=True)])
        torch.testing.assert_close(coordinates, sign * largest, rtol=2**-9, atol=2**-9)


def assert_coded(views: CachedViews, key: tuple[int, int], prepared: Prepared) -> None:
    """Compare stored targets with what the basis makes of the teachers' own, for the pixels of the item."""
    item, (number, row) = views[key], divmod(key[0] * views.visits + key[1], views.manifest.shard)
    expected = all_targets(prepared.teachers(), as_floats(item["images"][None]))
    for name, stored in item["targets"].items():
        for part, values in zip(("summary", "features"), stored, strict=True):
            target, basis = getattr(expected[name], part), views.bases[f"{name}.{part}"]
            assert values.dtype == torch.float16
            assert values.shape == target.shape[1:]
            codes = views._shard(number).row(f"{name}.{part}", row)
            assert torch.equal(values, basis.decode(codes[None])[0])
            ours, theirs = ((vectors.float().movedim(0, -1) - basis.mean) @ basis.components.T / basis.step
                            for vectors in (values, target[0]))  # fmt: skip
            largest = torch.exp2(basis.bits.float() - 1) - 0.5
            assert (ours - theirs.clamp(-largest, largest)).abs().max() < 0.52, "the nearest level, in fp16"
            assert torch.corrcoef(torch.stack([values.flatten().float(), target.flatten()]))[0, 1] > 0.8


@pytest.mark.parametrize("student", ["timm:test_resnet", "timm:test_vit?img_size=64"])
@pytest.mark.parametrize("pixels", [False, True])
def test_a_cache_holds_the_targets_of_its_views(
    student: str, pixels: bool, prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    """Check maps of a CNN and tokens of a ViT, on one grid for both."""
    prepared = prepare("teachers.lite0.objective=mae", f"student={student}")
    views = cached(prepared, visits=4, pixels=pixels, stored_as="pca")
    for key in ((0, 0), (4, 1), (8, 3)):
        assert_coded(views, key, prepared)
    files = sum(path.stat().st_size for path in (tmp_path / "cache").glob("shard-*"))
    size = size_of_view(prepared.teachers(), 64 if pixels else None, "pca")
    headers = sum(8 + int.from_bytes(path.read_bytes()[:8], "little") for path in (tmp_path / "cache").glob("shard-*"))
    stored = views._shard(0).tensors
    unused = size.parts["teachers"] - sum(stored[name][0].numel() + 8 for name in views.bases)
    assert files - headers == 36 * (size.total - unused)
    assert 0 <= unused < 16, "less than a byte of each of the map's cells"
    if not pixels:
        assert size_of_view(prepared.teachers(), None).total / size.total > 5, "small targets, large overhead"
    assert set(views.manifest.pca.errors) == {
        f"{name}.{part}" for name in ("lite0", "lite2") for part in ("summary", "features")
    }


def test_an_interrupted_cache_goes_on_with_its_own_basis(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared, folder = prepare(), tmp_path / "cache"
    cached(prepared, stored_as="pca")
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}
    for number in (1, 3):
        shard_path(folder, number).unlink()
    (folder / ".partial-shard").write_bytes(b"half")
    cached(prepared, stored_as="pca")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"} == first
    (folder / MANIFEST).unlink()
    for path in folder.glob("shard-*"):
        path.unlink()
    cached(prepared, stored_as="pca")  # killed between bases and manifest
    assert (folder / BASES_FILE).read_bytes() == first[BASES_FILE]


def test_formats_are_not_mixed(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    prepared = prepare()
    cached(prepared)
    record = json.loads((tmp_path / "cache" / MANIFEST).read_text())
    assert "pca" not in record, "caches of earlier versions have neither field"
    assert "format" not in record["key"]
    with pytest.raises(UMTError, match="format: None, now pca"):
        cached(prepared, stored_as="pca")
    cached(prepared, "other", stored_as="pca")
    with pytest.raises(UMTError, match="format: pca, now None"):
        cached(prepared, "other")


def test_a_damaged_basis_is_named(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    prepared, path = prepare(), tmp_path / "cache" / BASES_FILE
    cached(prepared, stored_as="pca")
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    for damaged in (bytes(content), b"", None):
        path.unlink(missing_ok=True)
        if damaged is not None:
            path.write_bytes(damaged)
        with pytest.raises(UMTError, match=r"pca.safetensors: cannot be read .*remove .*make the cache again"):
            open_cache(tmp_path / "cache", prepared, Skipped(tmp_path / "skipped.txt", 9))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"pca": None}, "field 'pca' is missing"), ({"format": "pca4"}, "unknown key.format 'pca4'")],
)
def test_a_manifest_that_nobody_wrote_is_refused(
    change: dict[str, object], message: str, prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared, path = prepare(), tmp_path / "cache" / MANIFEST
    cached(prepared, stored_as="pca")
    record = json.loads(path.read_text())
    for name, value in change.items():
        (record["key"] if name == "format" else record)[name] = value
    path.write_text(json.dumps(record))
    with pytest.raises(UMTError, match=message):
        open_cache(tmp_path / "cache", prepared, Skipped(tmp_path / "skipped.txt", 9))


def test_rows_that_are_no_codes_of_the_basis_are_named(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared = prepare()
    views = cached(prepared, pixels=True, stored_as="pca")
    shard = views._shard(0)
    tensors = {name: shard.tensors[name][:] for name in shard.tensors if not name.endswith(".crc32")}
    for wrong in (tensors["lite2.summary"].half(), tensors["lite2.summary"][:, :3]):
        changed = {**tensors, "lite2.summary": wrong.contiguous()}
        shard_path(tmp_path / "cache", 0).write_bytes(shard_bytes(changed, views.manifest.mark))
        opened = open_cache(tmp_path / "cache", prepared, Skipped(tmp_path / "skipped.txt", 9))
        with pytest.raises(UMTError, match=r"shard-00000.safetensors: row 0: codes .* are not of \d+ bytes"):
            opened[0, 0]


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("mean", lambda values: values[:-1], "have the shapes"),
        ("components", lambda values: values.T, "have the shapes"),
        ("step", lambda values: values[:, None], "have the shapes"),
        ("bits", lambda values: values[:-1], "have the shapes"),
        ("mean", lambda values: values * float("nan"), "no finite float32"),
        ("step", lambda values: values.double(), "no finite float32"),
        ("bits", lambda values: values.float(), "from 1 to 8"),
        ("bits", lambda values: values + 1, "from 1 to 8"),
        ("bits", lambda values: values.clamp_max(7), "fill bytes"),
        ("bits", lambda values: values.flip(0), "do not fall"),
    ],
)
def test_odd_bases_are_refused(part: str, change: Callable[[torch.Tensor], torch.Tensor], message: str) -> None:
    parts = {name: getattr(basis_of(), name) for name in PARTS}
    with pytest.raises(UMTError, match=message):
        Basis(**{**parts, part: change(parts[part])})


def test_marks_of_earlier_caches_stay() -> None:
    """Pin the mark of a manifest as the version before the second format wrote it."""
    key = {"schema": 3, "teachers": {"dino": {}}, "images": {"count": 9, "fingerprint": "0"}}
    text = {"key": key, "shapes": [{"name": "dino", "summary": 4, "features": 4}], "visits": 2, "shard": 5, "seed": 0}
    assert build(Manifest, text, "a test").mark == "d5b3af16a42ca1e5"
