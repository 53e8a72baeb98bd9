"""The layouts of NAVI and of ScanNet's pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from umt.correspondence.views import turn
from umt.data.checks.items import validate
from umt.data.contract import MARKER, Dataset
from umt.data.sets import navi, scannet_pairs
from umt.errors import UMTError

INFOS = {"navi": navi.INFO, "scannet": scannet_pairs.INFO}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    roots = {name: tmp_path_factory.mktemp(name) for name in INFOS}
    navi.write_mini(roots["navi"], (2, 6))
    scannet_pairs.write_mini(roots["scannet"], (2, 3))
    return roots


def copied(root: Path, out: Path) -> Path:
    for path in sorted(root.rglob("*")):
        copy = out / path.relative_to(root)
        if path.is_dir():
            copy.mkdir()
        else:
            copy.write_bytes(path.read_bytes())
    return out


def test_scannet_pairs_are_in_the_order_of_the_list(official: dict[str, Path]) -> None:
    dataset = Dataset(scannet_pairs.INFO, official["scannet"])
    validate(dataset)
    names = [scannet_pairs.read_pair(sample).name for sample in dataset.reported_samples]
    assert names == [f"scene{room:04d}_00/{pair}" for room in range(2) for pair in ("0-1", "0-2", "1-2")]


def test_navi_pairs_are_every_fourth_photograph_and_another_of_its_object(official: dict[str, Path]) -> None:
    dataset = Dataset(navi.INFO, official["navi"])
    validate(dataset)
    pairs = [navi.read_pair(sample) for sample in dataset.reported_samples]
    assert [pair.images[0].stem for pair in pairs] == ["000", "004", "002"]  # of 2 x 6 photographs
    for pair in pairs:
        assert pair.images[0] != pair.images[1]
        assert pair.images[0].parent == pair.images[1].parent
        assert 0 < turn(pair.motion) <= 120
    assert [pair.name for pair in pairs] == [navi.read_pair(sample).name for sample in dataset.info.read(
        official["navi"], "wild")]  # fmt: skip


def test_marked_photographs_do_not_bear_the_official_name(official: dict[str, Path], tmp_path: Path) -> None:
    root = copied(official["navi"], tmp_path)
    assert Dataset(navi.INFO, root).title == "NAVI"
    (root / MARKER).write_text('{"title": "rendered objects"}')
    assert Dataset(navi.INFO, root).title == "rendered objects"


def test_rotations_are_those_of_scipy() -> None:
    quaternions = np.random.default_rng(0).normal(size=(5, 4))
    for w, x, y, z in quaternions:
        expected = Rotation.from_quat([x, y, z, w]).as_matrix()
        np.testing.assert_allclose(navi._rotation([w, x, y, z]).numpy(), expected, atol=1e-6)


def test_the_box_of_an_object_is_square_and_holds_it() -> None:
    for rows, columns in ((slice(3, 9), slice(10, 40)), (slice(0, 30), slice(55, 64)), (slice(50, 64), slice(0, 5))):
        mask = np.zeros((64, 64), bool)
        mask[rows, columns] = True
        box = navi.object_box(mask)
        sizes = [part.stop - part.start for part in box]
        assert sizes[0] == sizes[1]
        assert mask[box].sum() > 0.8 * mask.sum(), "the last row and column are left out, as published"


def test_a_camera_projects_its_own_points_to_their_pixels(official: dict[str, Path]) -> None:
    sample = Dataset(scannet_pairs.INFO, official["scannet"]).reported_samples[0]
    view = scannet_pairs.read_pair(sample).load(sample.image, (120, 160), (30, 40))
    points = torch.from_numpy(view.points).flatten(1)
    x, y, z = torch.from_numpy(view.camera) @ points
    np.testing.assert_allclose((x / z).view(30, 40)[0], np.arange(40) + 0.5, rtol=1e-4)
    np.testing.assert_allclose((y / z).view(30, 40)[:, 0], np.arange(30) + 0.5, rtol=1e-4)


def spoil_annotations(root: Path, **camera: object) -> None:
    path = root / "bus/wild_set/annotations.json"
    records = json.loads(path.read_text())
    records[0]["camera"].update(camera)
    path.write_text(json.dumps(records))


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("scannet", lambda root: (root / "test.npz").write_bytes(b"PK"), "cannot be read"),
        ("scannet", lambda root: (root / "test.npz").unlink(), "cannot be read"),
        ("scannet", lambda root: np.savez(root / "test.npz", name=np.ones(3)), "is no rows of scene"),
        ("scannet", lambda root: np.savez(root / "test.npz", names=np.ones(3)), "holds no 'name'"),
        ("scannet", lambda root: np.savez(root / "intrinsics.npz", scene0000_00=np.ones(3)), "is no matrix of 3x3"),
        ("scannet", lambda root: (root / "scene0000_00/color/0.jpg").unlink(), "is listed in .* but missing"),
        ("scannet", lambda root: (root / "scene0000_00/pose/0.txt").write_text("1 2"), "no pose, which is a matrix"),
        ("scannet", lambda root: (root / "scene0000_00/pose/0.txt").write_text("a"), "pose cannot be read"),
        ("scannet", lambda root: (root / "scene0000_00/pose/0.txt").unlink(), "pose cannot be read"),
        ("navi", lambda root: (root / "bus/wild_set/annotations.json").unlink(), "cannot be read"),
        ("navi", lambda root: (root / "bus/wild_set/annotations.json").write_text("["), "not annotations"),
        ("navi", lambda root: (root / "bus/wild_set/annotations.json").write_text("[]"), "no camera of 000.jpg"),
        ("navi", lambda root: spoil_annotations(root, q=[1, 0]), "no camera of 000.jpg"),
        ("navi", lambda root: spoil_annotations(root, q=[0, 0, 0, 0]), "the camera of 000.jpg is none"),
        ("navi", lambda root: spoil_annotations(root, focal_length=-1), "the camera of 000.jpg is none"),
    ],
)
def test_what_is_wrong_is_named(official: dict[str, Path], tmp_path: Path, name: str, spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    root = copied(official[name], tmp_path)
    spoil(root)
    with pytest.raises(UMTError, match=message):
        validate(Dataset(INFOS[name], root))
