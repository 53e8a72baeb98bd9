"""The tidy table of a store: what the files say, a row for each metric."""

from __future__ import annotations

import json
import math
import shutil
import warnings
from pathlib import Path

import pytest

import umt
from benchmarks.suite.suite import Column
from umt.errors import UMTError

DETAILS = {"interval": {"low": 79.0, "high": 81.5}}


def test_rows_say_what_the_files_say(store, result, cub, nyu):
    two = {"metrics": {"accuracy": 80.0, "loss": 0.5}, "units": {"accuracy": "%"}, "lower_is_better": ["loss"]}
    store.write(result(cub, 80.0, details=DETAILS, **two))
    store.write(result(cub, 82.0, seed=1))
    store.write(result(nyu, 0.4, backbone="other", lower_is_better=["rmse"], units={"rmse": "m"}))
    frame = umt.load_results(store.folder)
    assert len(frame) == 4
    for row in frame.to_dict("records"):
        record = json.loads(Path(row["path"]).read_text())
        for name in ("backbone", "task", "dataset", "protocol", "seed", "weights_hash", "protocol_hash"):
            assert row[name] == record["key"][name]
        assert row["data_fingerprint"] == record["key"]["data_fingerprint"]
        for name in ("suite", "spec", "architecture"):
            assert row[name] == record[name]
        metric = row["metric"]
        assert row["value"] == record["metrics"][metric]
        assert row["unit"] == record["units"].get(metric, "")
        assert row["lower_is_better"] == (metric in record["lower_is_better"])
        assert row["official"] is record["data"]["official"]
        assert row["n"] == record["data"]["sizes"]["test"]
    first = frame[frame["metric"] == "accuracy"].set_index("seed").loc[0]
    assert (first["interval_low"], first["interval_high"]) == (79.0, 81.5)
    assert all(math.isnan(value) for value in frame[frame["metric"] != "accuracy"]["interval_low"])


def test_n_counts_the_items_behind_the_number(store, result, cub):
    two = {"metrics": {"accuracy": 80.0, "top5": 90.0}}
    speed = Column("Speed", "throughput", "imagenet", "paper", "images_per_second")
    store.write(result(cub, 80.0, details={"items": {"accuracy": 7}}, **two))
    store.write(result(cub, 80.0, backbone="odd", details={"items": {"accuracy": -1, "top5": "x"}}, **two))
    store.write(result(cub, 80.0, backbone="large", sizes={"train": 1, "test": 1 << 63}))
    store.write(result(cub, 80.0, backbone="none", sizes={}))
    store.write(result(speed, 300.0, backbone="fast"))
    frame = umt.load_results(store.folder).set_index(["backbone", "metric"])["n"]
    assert frame["mine"].to_dict() == {"accuracy": 7, "top5": 10}, "without a count, the size of the last split"
    assert frame.drop("mine").isna().all()


def test_columns_and_their_types(store, result, cub):
    store.write(result(cub, 80))
    frame = umt.load_results(store.folder)
    assert list(frame) == [
        "backbone", "task", "dataset", "protocol", "metric", "value", "unit", "lower_is_better", "seed", "n",
        "interval_low", "interval_high", "weights_hash", "protocol_hash", "data_fingerprint", "official",
        "suite", "spec", "architecture", "path",
    ]  # fmt: skip
    kinds = {name: frame[name].dtype.kind for name in ("value", "lower_is_better", "seed", "n", "interval_low")}
    assert kinds == {"value": "f", "lower_is_better": "b", "seed": "i", "n": "i", "interval_low": "f"}


def test_the_folder_of_a_run_will_do(store, result, cub):
    store.write(result(cub, 80.0, backbone="results"))  # a backbone may have any label
    assert umt.load_results(str(store.folder.parent)).equals(umt.load_results(store.folder))


@pytest.mark.parametrize(
    "content", [b"", b'{"schema": 1', b"[]", b'{"schema": 99}', b'{"schema": 1}', b'{"schema": 2}']
)
def test_a_file_that_cannot_be_read_is_a_warning(store, result, cub, content):
    good = store.write(result(cub, 80.0))
    bad = good.with_name("bad.json")
    bad.write_bytes(content)
    with pytest.warns(UserWarning, match="^left out: ") as warned:
        frame = umt.load_results(store.folder)
    (message,) = (str(one.message) for one in warned)
    assert message.startswith(f"left out: {bad}: ")
    assert "\n" not in message
    assert list(frame["path"]) == [str(good)]
    good.unlink()
    with pytest.warns(UserWarning, match="left out"), pytest.raises(UMTError, match="holds no readable result"):
        umt.load_results(store.folder)


def test_a_copy_counts_once_and_a_contradiction_not_at_all(store, result, cub, nyu):
    sound, copied = store.write(result(nyu, 0.4)), store.write(result(cub, 80.0))
    shutil.copy(copied, copied.with_name("zzz.json"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sorted(umt.load_results(store.folder)["path"]) == sorted([str(sound), str(copied)])
    record = json.loads(copied.read_text())
    del record["crc32"]
    record["metrics"] = {"accuracy": 81.0}
    copied.with_name("zzz.json").write_text(json.dumps(record))
    with pytest.warns(UserWarning, match=r"different values \(\{'accuracy': 80.0\}, \{'accuracy': 81.0\}\)"):
        assert list(umt.load_results(store.folder)["path"]) == [str(sound)]


def test_no_such_folder(tmp_path):
    with pytest.raises(UMTError, match="nowhere: no such result store"):
        umt.load_results(tmp_path / "nowhere")
