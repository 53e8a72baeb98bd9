"""Targets as principal components of 8 bits: as exact as such can be, a sixth of the size, never of another basis."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from umt.declarations import build
from umt.distill.cache.cache import MANIFEST, CachedViews, Manifest, open_cache, shard_bytes, shard_path
from umt.distill.cache.pca import BASES_FILE, Basis, component_counts, fit_bases
from umt.distill.cache.writer import size_of_view
from umt.distill.distiller import as_floats
from umt.distill.images import Skipped
from umt.distill.ingredients import Prepared
from umt.distill.teachers.teacher import all_targets
from umt.errors import UMTError

Make = Callable[..., CachedViews]
VIT_B = {
    f"{name}.{part}": (768, cells) for name in ("mae", "dino") for part, cells in (("summary", 1), ("features", 196))
}


def correlated(count: int, width: int = 24, *, flat: bool = False) -> torch.Tensor:
    """Draw vectors whose components have the variances 1, 1/2, 1/4, ..., or all 1, around a mean that is far from 0."""
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.standard_normal((width, width)))[0]
    values = rng.standard_normal((count, width)) * (1.0 if flat else 2.0 ** (-np.arange(width) / 2))
    return torch.from_numpy((values @ rotation + 5).astype(np.float32))


def test_components_are_those_of_a_float64_pca() -> None:
    """numpy's decomposition of the same vectors, and its reconstruction up to half a step of each component."""
    vectors = correlated(500)
    basis = Basis.fit(vectors, 6)
    centred = vectors.double().numpy() - vectors.double().numpy().mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:6]
    np.testing.assert_allclose(np.abs(basis.components.double().numpy() @ axes.T), np.eye(6), atol=1e-6)
    expected = centred @ axes.T @ axes + vectors.double().numpy().mean(axis=0)
    decoded = basis.decode(basis.encode(vectors)).double().numpy()
    rounding = np.linalg.norm(basis.scale.double().numpy() / 2) + 2**-11 * np.abs(decoded).max() * np.sqrt(24)
    assert np.linalg.norm(decoded - expected, axis=1).max() <= rounding
    lost = ((centred - centred @ axes.T @ axes) ** 2).sum() / (centred**2).sum()
    assert basis.error(vectors) == pytest.approx(lost, rel=0.02)
    assert lost > 0.01


def test_maps_are_coded_cell_by_cell() -> None:
    vectors = correlated(60)
    basis = Basis.fit(vectors, 6)
    maps = vectors.view(5, 4, 3, 24).permute(0, 3, 1, 2)
    decoded = basis.decode(basis.encode(maps))
    assert decoded.shape == maps.shape
    assert torch.equal(decoded.permute(0, 2, 3, 1).flatten(0, 2), basis.decode(basis.encode(vectors)))


def test_larger_values_than_any_fitted_one_are_cut_and_do_not_wrap() -> None:
    vectors = correlated(200)
    basis = Basis.fit(vectors, 24)
    far = vectors.mean(dim=0) + 100 * (vectors[:1] - vectors.mean(dim=0))
    codes = basis.encode(far)
    assert codes.abs().max() == 127
    assert torch.equal(codes.sign()[codes.abs() == 127], basis.encode(vectors[:1]).sign()[codes.abs() == 127])


def test_directions_that_no_fitted_vector_has_are_not_lost() -> None:
    """Compare with what lies outside of the span of twelve fitted vectors of 24 channels."""
    vectors = correlated(400, flat=True)
    span = Basis.fit(vectors[:12], 11)
    centred = vectors[12:] - vectors[12:].mean(dim=0)
    outside = centred - centred @ span.components.T @ span.components
    assert Basis.fit(vectors[:12], 24).error(vectors[12:]) < 0.25 * outside.square().sum() / centred.square().sum()


def test_a_view_of_three_teachers_takes_a_sixth() -> None:
    extents = VIT_B | {"cls.summary": (1024, 1), "cls.features": (1024, 1)}
    values = {name: width * cells for name, (width, cells) in extents.items()}
    counts = component_counts(extents, 104)
    stored = sum(count * extents[name][1] for name, count in counts.items()) + 104
    assert 6 <= (2 * sum(values.values()) + 104) / stored < 6.1
    assert counts["cls.features"] == 1024, "vectors keep all components"
    assert counts["mae.features"] == counts["dino.features"] == 249
    pooled = component_counts({"cls.summary": (1024, 1), "cls.features": (512, 1), "dino.features": (384, 4)}, 72)
    assert pooled == {"cls.summary": 1024, "cls.features": 512, "dino.features": 96}, "small maps lose no more"


def assert_coded(views: CachedViews, key: tuple[int, int], prepared: Prepared) -> None:
    """Compare stored targets with what the basis makes of the teachers' own, for the pixels of the item."""
    item = views[key]
    expected = all_targets(prepared.teachers(), as_floats(item["images"][None]))
    for name, stored in item["targets"].items():
        for part, values in zip(("summary", "features"), stored, strict=True):
            target, basis = getattr(expected[name], part), views.bases[f"{name}.{part}"]
            assert values.dtype == torch.float16
            assert values.shape == target.shape[1:]
            step = float(basis.scale.max())  # a value between two codes may be rounded to either
            torch.testing.assert_close(values, basis.decode(basis.encode(target))[0], rtol=2**-10, atol=step)
            assert torch.corrcoef(torch.stack([values.flatten().float(), target.flatten()]))[0, 1] > 0.8


@pytest.mark.parametrize("student", ["timm:test_resnet", "timm:test_vit?img_size=64"])
@pytest.mark.parametrize("pixels", [False, True])
def test_a_cache_holds_the_targets_of_its_views(
    student: str, pixels: bool, prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    """Check maps of a CNN and tokens of a ViT, on one grid for both."""
    prepared = prepare("teachers.lite0.objective=mae", f"student={student}")
    views = cached(prepared, visits=4, pixels=pixels, stored_as="pca8")
    for key in ((0, 0), (4, 1), (8, 3)):
        assert_coded(views, key, prepared)
    files = sum(path.stat().st_size for path in (tmp_path / "cache").glob("shard-*"))
    size = size_of_view(prepared.teachers(), 64 if pixels else None, "pca8")
    headers = sum(8 + int.from_bytes(path.read_bytes()[:8], "little") for path in (tmp_path / "cache").glob("shard-*"))
    assert files - headers == 36 * size.total
    if not pixels:
        assert size_of_view(prepared.teachers(), None).total / size.total > 3, (
            "vectors take half of fp16, maps an eighth"
        )
    assert set(views.manifest.pca.errors) == {
        f"{name}.{part}" for name in ("lite0", "lite2") for part in ("summary", "features")
    }


def test_an_interrupted_cache_goes_on_with_its_own_basis(
    prepare: Callable[..., Prepared], cached: Make, tmp_path: Path
) -> None:
    prepared, folder = prepare(), tmp_path / "cache"
    cached(prepared, stored_as="pca8")
    first = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"}
    for number in (1, 3):
        shard_path(folder, number).unlink()
    (folder / ".partial-shard").write_bytes(b"half")
    cached(prepared, stored_as="pca8")
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"} == first
    (folder / MANIFEST).unlink()
    for path in folder.glob("shard-*"):
        path.unlink()
    cached(prepared, stored_as="pca8")  # killed between bases and manifest
    assert (folder / BASES_FILE).read_bytes() == first[BASES_FILE]


def test_formats_are_not_mixed(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    prepared = prepare()
    cached(prepared)
    record = json.loads((tmp_path / "cache" / MANIFEST).read_text())
    assert "pca" not in record, "caches of earlier versions have neither field"
    assert "format" not in record["key"]
    with pytest.raises(UMTError, match="format: None, now pca8"):
        cached(prepared, stored_as="pca8")
    cached(prepared, "other", stored_as="pca8")
    with pytest.raises(UMTError, match="format: pca8, now None"):
        cached(prepared, "other")


def test_a_damaged_basis_is_named(prepare: Callable[..., Prepared], cached: Make, tmp_path: Path) -> None:
    prepared, path = prepare(), tmp_path / "cache" / BASES_FILE
    cached(prepared, stored_as="pca8")
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
    cached(prepared, stored_as="pca8")
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
    views = cached(prepared, pixels=True, stored_as="pca8")
    shard = views._shard(0)
    tensors = {name: shard.tensors[name][:] for name in shard.tensors if not name.endswith(".crc32")}
    for wrong in (tensors["lite2.summary"].half(), tensors["lite2.summary"][:, :3]):
        changed = {**tensors, "lite2.summary": wrong.contiguous()}
        shard_path(tmp_path / "cache", 0).write_bytes(shard_bytes(changed, views.manifest.mark))
        opened = open_cache(tmp_path / "cache", prepared, Skipped(tmp_path / "skipped.txt", 9))
        with pytest.raises(UMTError, match=r"shard-00000.safetensors: row 0: codes .* are not of \d+ components"):
            opened[0, 0]


def test_a_teacher_without_finite_values_is_named() -> None:
    sample = correlated(50)[:, None]
    sample[7, 0, 3] = float("inf")
    with pytest.raises(UMTError, match=r"'dino.features': the teacher gives values that are not finite"):
        fit_bases({"dino.features": sample}, {"dino.features": 4})


def test_bases_of_odd_shapes_are_refused() -> None:
    good = Basis.fit(correlated(50), 4)
    for mean, components, scale in (
        (good.mean[:-1], good.components, good.scale),
        (good.mean, good.components.T, good.scale),
        (good.mean, good.components, good.scale[:, None]),
        (good.mean * float("nan"), good.components, good.scale),
        (good.mean.double(), good.components, good.scale),
    ):
        with pytest.raises(UMTError, match="mean, components"):
            Basis(mean, components, scale)


def test_marks_of_earlier_caches_stay() -> None:
    """Pin the mark of a manifest as the version before the second format wrote it."""
    key = {"schema": 3, "teachers": {"dino": {}}, "images": {"count": 9, "fingerprint": "0"}}
    text = {"key": key, "shapes": [{"name": "dino", "summary": 4, "features": 4}], "visits": 2, "shard": 5, "seed": 0}
    assert build(Manifest, text, "a test").mark == "d5b3af16a42ca1e5"
