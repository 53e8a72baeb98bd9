"""Ranking a store: order, gaps, and what is refused."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from benchmarks.suite.suite import Column
from reports.cli import leaderboard as leaderboard_command
from reports.tables.leaderboard import leaderboard
from umt.errors import UMTError


def test_backbones_are_in_order_of_their_mean_place(measurement, cub, nyu) -> None:  # type: ignore[no-untyped-def]
    table = leaderboard(
        [
            measurement(cub, 80.0, backbone="a", weights_hash="a" * 64),
            measurement(cub, 90.0, backbone="b", weights_hash="b" * 64),
            measurement(cub, 95.0, backbone="half", weights_hash="c" * 64),
            measurement(nyu, 0.5, backbone="a", weights_hash="a" * 64, lower_is_better=["rmse"], units={"rmse": "m"}),
            measurement(nyu, 0.4, backbone="b", weights_hash="b" * 64, lower_is_better=["rmse"], units={"rmse": "m"}),
        ]
    )
    texts = {row.name: [cell.text for cell in row.cells] for row in table.groups[0].rows}
    assert list(texts) == ["b", "a", "half"]
    assert texts == {
        "b": ["1.50", "2. 90.0", "1. 0.400"],
        "a": ["2.50", "3. 80.0", "2. 0.500"],
        "half": ["–", "1. 95.0", "–"],
    }


def test_speed_has_places_of_its_own(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    speed = Column("Speed", "throughput", "imagenet", "paper", "images_per_second")
    weights = {"a": "a" * 64, "b": "b" * 64}
    found = [measurement(cub, 80.0 + 10 * (name == "a"), backbone=name, weights_hash=weights[name]) for name in "ab"]
    found += [measurement(speed, 300.0, backbone="b", weights_hash=weights["b"])]
    texts = {row.name: [cell.text for cell in row.cells] for row in leaderboard(found).groups[0].rows}
    assert texts == {"a": ["1.00", "1. 90.0", "–"], "b": ["2.00", "2. 80.0", "1. 300"]}
    alone = leaderboard([measurement(speed, 300.0)])
    assert [cell.text for cell in alone.groups[0].rows[0].cells] == ["1.00", "1. 300"]


def test_different_protocols_and_data_are_refused_by_name(measurement, cub) -> None:  # type: ignore[no-untyped-def]
    first = measurement(cub, 80.0)
    for change, said in (
        ({"protocol": "mae", "protocol_hash": "f00dfeed0000"}, "mae version 1 (f00dfeed); paper version 1 (01234567)"),
        ({"data_fingerprint": "0" * 16}, "CUB-200-2011 (00000000); CUB-200-2011 (ffffffff)"),
    ):
        with pytest.raises(UMTError, match="not ranked together") as caught:
            leaderboard([first, measurement(cub, 81.0, backbone="b", **change)])
        assert said in str(caught.value)


def test_the_command_ranks_what_is_chosen_and_writes_it(store, result, cub, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for name, value, protocol in (("a", 80.0, "paper"), ("b", 85.0, "paper"), ("a", 10.0, "mini")):
        changes = {"protocol": protocol, "protocol_hash": protocol * 2, "backbone": name}
        store.write(result(cub, value, **changes))
    arguments = ["--results", str(store.folder), "--out", str(tmp_path / "out")]
    mixed = CliRunner().invoke(leaderboard_command, arguments)
    assert isinstance(mixed.exception, UMTError)
    chosen = CliRunner().invoke(leaderboard_command, [*arguments, "--protocol", "paper"])
    assert chosen.exit_code == 0, chosen.output
    assert "1. 85.0" in chosen.output
    assert "10.0" not in chosen.output
    assert (tmp_path / "out" / "leaderboard.csv").is_file()
    nothing = CliRunner().invoke(leaderboard_command, [*arguments, "--tasks", "knn"])
    assert "no result passes --tasks" in str(nothing.exception)
