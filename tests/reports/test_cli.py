"""`umt report` as a user types it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from benchmarks.suite.suite import load_suite
from reports.cli import report
from umt.errors import UMTError


@pytest.fixture
def run(store, tmp_path):
    def invoke(*options: str):
        arguments = ["--results", str(store.folder), "--out", str(tmp_path / "out"), *options]
        return CliRunner().invoke(report, arguments, catch_exceptions=True)

    return invoke


def test_prints_the_table_and_its_files(store, result, run, tmp_path):
    column = load_suite("mini").columns[0]
    path = store.write(result(column, 90.25, suite="mini", backbone="[bold]mine"))
    path.with_name("bad.json").write_text("{")
    outcome = run()
    assert outcome.exit_code == 0
    assert "90.2" in outcome.stdout
    assert "[bold]mine" in outcome.stdout
    assert str(tmp_path / "out" / "report.html") in outcome.stdout
    assert (tmp_path / "out" / "table1.csv").is_file()
    assert "bad.json" in outcome.stderr


def test_results_of_several_suites_need_a_choice(store, result, run):
    for name in ("mini", "paper"):
        store.write(result(load_suite(name).columns[0], 90.0, suite=name))
    outcome = run()
    assert isinstance(outcome.exception, UMTError)
    assert "suites mini, paper; choose one with --suite" in str(outcome.exception)
    assert run("--suite", "mini").exit_code == 0


def test_results_of_a_suite_of_ones_own_need_its_file(store, result, cub, run):
    store.write(result(cub, 90.0, suite="mine"))
    assert "suite 'mine', which does not come with umt-bench; name its file, e.g. --suite mine.yaml" in str(
        run().exception
    )


def test_results_on_another_data_set_are_of_the_suite_that_they_were_made_of(store, result, cub, run, tmp_path):
    store.write(result(cub, 90.5, suite="paper-cub-200-2011"))
    outcome = run()
    assert outcome.exit_code == 0, outcome.exception
    assert "CUB-200-2011" in outcome.stdout
    assert "90.5" in outcome.stdout
    store.write(result(cub, 90.0, suite="paper-at-224", backbone="other"))
    assert "suites paper-at-224, paper-cub-200-2011; choose one" in str(run().exception)
    for path in store.paths():
        path.unlink()
    store.write(result(cub, 90.0, suite="paper-at-224"))
    assert "suite 'paper-at-224', which does not come with umt-bench" in str(run().exception)


def test_results_of_no_column_are_an_error(store, result, cub, run):
    store.write(result(cub, 90.0))
    assert "no result belongs to suite 'mini'" in str(run("--suite", "mini").exception)


def test_unknown_suite(store, result, cub, run):
    store.write(result(cub, 90.0))
    assert "unknown suite 'papper'. Did you mean paper" in str(run("--suite", "papper").exception)


def test_a_table_of_ones_own_is_compared_with_the_paper(store, result, cub, run, tmp_path):
    column = "{heading: CUB, task: finegrained_finetune, dataset: cub, protocol: paper, metric: accuracy}"
    (tmp_path / "own.yaml").write_text(
        "title: Own\nabout: A\nseeds: 1\nembedded_data: false\n"
        f"tables: {{birds: {{title: Birds, columns: [{column}]}}}}\n"
    )
    store.write(result(cub, 91.3, suite="own", spec="timm:vit_base_patch16_dinov3.lvd1689m"))
    outcome = run("--suite", str(tmp_path / "own.yaml"), "--compare", "paper")
    assert outcome.exit_code == 0, outcome.exception
    assert "+1.0" in (tmp_path / "out" / "compare-paper.md").read_text(), "the paper has 90.3"
    assert (tmp_path / "out" / "birds.csv").is_file()


def test_intervals_on_request(store, result, run, tmp_path):
    bounds = {"interval": {"low": 85.0, "high": 95.0}}
    store.write(result(load_suite("mini").columns[0], 90.25, suite="mini", details=bounds))
    assert "[85.0, 95.0]" not in run().stdout
    assert "90.2 [85.0, 95.0]" in run("--intervals").stdout
    assert r"90.2 \[85.0, 95.0\]" in (tmp_path / "out" / "table1.md").read_text()
