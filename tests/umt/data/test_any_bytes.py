"""Whatever bytes the lists of a data set hold: samples, or a UMTError, and never another exception."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from umt.data.checks.record import read_record, record_path
from umt.data.contract import Dataset, read_marker
from umt.data.sets import aircraft, cub
from umt.data.sets.nyuv2 import read_splits
from umt.data.shards.devkit import DEVKIT, META, TRUTH, read_classes
from umt.errors import UMTError

Outcome = Callable[[Callable[[], object]], None]
LINES = st.lists(
    st.sampled_from(
        ["1 1", "2 1", "1 a.jpg", "2 x/b.jpg", "1 A", "1 0", "3 9", "A", "", "1", "\x00", "1 ../../x", "é 1"]
    )
)
CONTENT = st.one_of(st.binary(max_size=60), LINES.map(lambda lines: "\n".join(lines).encode()))
QUICK = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@QUICK
@given(*[CONTENT] * 4)
def test_cub(outcome: Outcome, tmp_path: Path, classes: bytes, images: bytes, labels: bytes, split: bytes) -> None:
    tables = {"classes": classes, "images": images, "image_class_labels": labels, "train_test_split": split}
    for name, content in tables.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
    (tmp_path / "images" / "x").mkdir(parents=True, exist_ok=True)
    for image in ("a.jpg", "x/b.jpg"):
        (tmp_path / "images" / image).touch()
    for part in ("train", "test"):
        outcome(lambda part=part: Dataset(cub.INFO, tmp_path).samples(part))
    outcome(lambda: Dataset(cub.INFO, tmp_path).class_names)


@QUICK
@given(CONTENT, CONTENT)
def test_aircraft(outcome: Outcome, tmp_path: Path, variants: bytes, images: bytes) -> None:
    (tmp_path / "data" / "images").mkdir(parents=True, exist_ok=True)
    (tmp_path / "data" / "images" / "1.jpg").touch()
    (tmp_path / "data" / "variants.txt").write_bytes(variants)
    (tmp_path / "data" / "images_variant_train.txt").write_bytes(images)
    outcome(lambda: Dataset(aircraft.INFO, tmp_path).samples("train"))


@QUICK
@given(CONTENT, st.binary(max_size=300))
def test_the_devkit_and_the_splits(outcome: Outcome, tmp_path: Path, truth: bytes, mat: bytes) -> None:
    (tmp_path / "splits.mat").write_bytes(mat)
    with tarfile.open(tmp_path / DEVKIT, "w:gz") as tar:
        for name, content in ((TRUTH, truth), (META, mat)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    outcome(lambda: read_classes(tmp_path / DEVKIT))
    outcome(lambda: read_splits(tmp_path / "splits.mat"))
    (tmp_path / DEVKIT).write_bytes(truth + mat)
    outcome(lambda: read_classes(tmp_path / DEVKIT))


@QUICK
@given(st.one_of(st.binary(max_size=60), st.sampled_from([b"{}", b"[]", b"null", b'{"title": 1}', b"[[1, 2]]"])))
def test_the_marker_and_the_record(outcome: Outcome, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "umt-data.json").write_bytes(content)
    outcome(lambda: read_marker(tmp_path))
    record_path(tmp_path, "cub").parent.mkdir(exist_ok=True)
    record_path(tmp_path, "cub").write_bytes(content)
    outcome(lambda: read_record(tmp_path, "cub"))


def test_a_broken_list_is_an_error_and_not_an_empty_set(tmp_path: Path) -> None:
    """That anything goes through without an error would satisfy the tests above as well."""
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UMTError, match=r"classes\.txt: "):
        Dataset(cub.INFO, tmp_path).samples("train")
