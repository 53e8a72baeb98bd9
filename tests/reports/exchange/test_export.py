"""The forms of other programs, read back by their own libraries."""

from __future__ import annotations

import json
import uuid
from io import BytesIO
from pathlib import Path

import pandas as pd
import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from reports.exchange.export import ExportOptions, exported
from reports.results.store import load_results
from umt.errors import UMTError

NAMES = ExportOptions({"cub": "org/cub", "nyuv2": "org/nyu"}, "Us")
TWO = {"units": {"accuracy": "%", "loss": ""}, "lower_is_better": ["loss"]}


@pytest.fixture
def folder(store, result, cub, nyu) -> Path:  # type: ignore[no-untyped-def]
    for seed, value in enumerate((80.0, 83.0)):
        store.write(result(cub, value, seed=seed, metrics={"accuracy": value, "loss": 0.5}, **TWO))
    details = {"interval": {"low": 0.3, "high": 0.5}}
    store.write(result(nyu, 0.4, units={"rmse": "m"}, lower_is_better=["rmse"], details=details))
    store.write(result(cub, 70.0, backbone="=1+1", official=False, spec="/home/me/w.pth", weights_hash="b" * 64))
    folder: Path = store.folder
    return folder


def test_csv_is_the_tidy_table_without_formulas_and_local_paths(folder: Path) -> None:
    (content,) = exported(folder, "csv", NAMES).values()
    frame, tidy = pd.read_csv(BytesIO(content)), load_results(folder)
    assert list(frame) == list(tidy)
    assert frame["value"].tolist() == tidy["value"].tolist()
    assert sorted(set(frame["backbone"])) == ["'=1+1", "mine"]
    assert all((folder / path).is_file() for path in frame["path"])


def test_parquet_keeps_values_and_types(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    (content,) = exported(folder, "parquet", NAMES).values()
    frame, tidy = pd.read_parquet(BytesIO(content)), load_results(folder)
    pd.testing.assert_frame_equal(frame.drop(columns="path"), tidy.drop(columns="path"))


def test_parquet_without_pyarrow_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UMTError, match="--to parquet needs pyarrow; install it with"):
        exported(folder, "parquet", NAMES)


def test_the_hub_reads_its_own_form(folder: Path) -> None:
    files = exported(folder, "hf", NAMES)
    assert list(files) == [
        "mine-aaaaaaaa/.eval_results/umt-bench-cub.yaml",
        "mine-aaaaaaaa/.eval_results/umt-bench-nyuv2.yaml",
    ], "none for other data than the official"
    (cub,), (nyu,) = (parse_eval_result_entries(yaml.safe_load(content)) for content in files.values())
    assert (cub.dataset_id, cub.task_id, cub.value) == ("org/cub", "finegrained_finetune_paper", 81.5)
    assert cub.notes is not None
    assert cub.notes.startswith("accuracy (%), mean of 2 seeds; UMT-Bench finegrained_finetune, protocol paper (0123")
    assert (nyu.dataset_id, nyu.value) == ("org/nyu", 0.4)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"cub": "org/cub"}, "the hub's name of nyuv2 is missing; add --hub-dataset nyuv2=ORG/NAME"),
        ({"cubs": "org/cub"}, "Did you mean cub?"),
    ],
)
def test_names_on_the_hub_are_the_users(folder: Path, names: dict[str, str], said: str) -> None:
    with pytest.raises(UMTError) as caught:
        exported(folder, "hf", ExportOptions(names))
    assert said in str(caught.value)


def test_other_data_is_not_published_as_the_official(store, result, cub) -> None:  # type: ignore[no-untyped-def]
    store.write(result(cub, 70.0, official=False))
    with pytest.raises(UMTError, match="no result is of a complete official data set"):
        exported(store.folder, "hf", NAMES)


def test_every_record_is_valid_by_the_schema(folder: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((Path(__file__).parent / "every_eval_ever" / "eval.schema.json").read_text())
    files = exported(folder, "eee", NAMES)
    assert len(files) == 2
    for name, content in files.items():
        record = json.loads(content)
        jsonschema.Draft7Validator(schema).validate(record)
        assert record["schema_version"] == schema["version"]
        assert uuid.UUID(Path(name).stem).version == 4
        assert Path(name).parts[:2] == ("data", "umt-bench")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft7Validator(schema).validate({**record, "unknown": 1})


def test_records_say_what_the_files_say(folder: Path) -> None:
    records = {
        record["model_info"]["name"]: record for record in map(json.loads, exported(folder, "eee", NAMES).values())
    }
    mine, other = records["mine"], records["=1+1"]
    assert mine["model_info"]["id"] == "timm/vit_base_patch16_224"
    assert other["model_info"]["id"] == "unknown/=1+1"
    assert "/home/me" not in json.dumps(other)
    assert other["evaluation_results"][0]["source_data"]["dataset_name"] == "cub layout, other data"
    accuracy, loss, rmse = mine["evaluation_results"]
    assert accuracy["score_details"]["score"] == 81.5
    assert accuracy["score_details"]["details"] == {"seed_0": "80.0", "seed_1": "83.0"}
    assert [one["metric_config"]["lower_is_better"] for one in (accuracy, loss, rmse)] == [False, True, True]
    interval = rmse["score_details"]["uncertainty"]["confidence_interval"]
    assert (interval["lower"], interval["upper"], interval["confidence_level"]) == (0.3, 0.5, 0.95)
    assert "confidence_interval" not in accuracy["score_details"]["uncertainty"]
