"""A backbone that goes wrong in a job: the job says so, the others go on, and the same command ends as if nothing was.

Each fault happens once (faulty.py), so that what is typed again is the same command to the letter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

GOOD = ("--backbone", "good=timm:test_vit?pretrained=false")
REMEDY = "if the job is sound, type the same command again with more than"
FAULTS: dict[str, tuple[tuple[str, ...], str]] = {
    "nan": ((), "gives features that are not finite (so are 1 of its batch of 32); check its weights"),
    "raise": ((), "RuntimeError: an error of the plug-in's own (full trace in "),
    "hang": (("--time-limit", "0.2"), f" s; {REMEDY} --time-limit 0.2"),
    "hoard": (("--memory-limit", "1.2"), f" GB of memory; {REMEDY} --memory-limit 1.2"),
    "die": ((), "ended by SIGKILL (the system does that when memory runs out); the same command goes on"),
    "full_disk": ((), ".json: cannot be written (File too large); nothing was there before; free some space"),
}


@pytest.fixture(scope="module")
def unbroken(make_broken: Callable[[], Any]) -> dict[str, dict[str, float]]:
    """Metrics of both backbones where nothing goes wrong."""
    broken = make_broken()
    broken.trap.unlink()
    assert broken.run("raise", *GOOD)[0] == 0
    results: dict[str, dict[str, float]] = broken.results()
    assert results.keys() == {"broken", "good"}
    return results


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_the_rest_goes_on_and_the_same_command_mends_it(fault: str, broken: Any, unbroken: Any) -> None:
    limits, message = FAULTS[fault]
    status, said = broken.run(fault, *GOOD, *limits)
    assert broken.sprung
    assert status == 1
    assert message in said
    assert "1 without a result" in said
    assert broken.results() == {"good": unbroken["good"]}
    assert not list((broken.out / "results").rglob(".partial-*"))

    status, said = broken.run(fault, *GOOD, *limits)
    assert status == 0, said
    assert "2 jobs: 1 done before, 1 to run" in said
    assert broken.results() == unbroken


def test_features_before_the_kill_are_not_computed_again(broken: Any) -> None:
    """The third batch of the training images never came: the two before it stay, and end in the whole array."""
    assert broken.run("die", at=3, width=128)[0] == 1
    assert broken.sprung
    (partial,) = (broken.out / "cache").glob("*.partial")
    kept = partial.read_bytes()
    assert len(kept) > 32 * 128 * 4
    assert broken.run("die", at=3, width=128)[0] == 0
    whole = partial.with_suffix(".npy").read_bytes()
    assert whole.startswith(kept)
    assert len(np.load(partial.with_suffix(".npy"))) == 72
    assert not partial.exists()


@pytest.mark.slow
def test_a_stopped_job_says_why_in_its_log(broken: Any) -> None:
    broken.run("hang", "--time-limit", "0.1")
    (log,) = (broken.out / "logs").rglob("*.log")
    assert "--time-limit 0.1" in log.read_text().splitlines()[-1]


@pytest.mark.slow
def test_a_backbone_that_hangs_before_its_jobs_blocks_only_its_own(broken: Any) -> None:
    status, said = broken.run("hang", *GOOD, "--time-limit", "0.2", at=1)
    assert broken.sprung
    assert status == 1
    assert "the look at it before its jobs takes longer than --time-limit 0.2" in said
    assert broken.results().keys() == {"good"}


@pytest.mark.parametrize(
    ("lie", "sentence"),
    [
        ("channels=5", "maps[0] is (2, 4, 4, 4), but (2, 5, 4, 4) follows from the declarations"),
        ("stride=8", "maps[0] is (2, 4, 4, 4), but (2, 4, 8, 8) follows from the declarations"),
        ("dim=3", "pooled is (2, 4), but (2, 3) follows from the declarations"),
        ("dim=0", "channels, strides, dim, size and size_multiple must be positive"),
    ],
)
def test_a_lie_about_shapes_is_caught_before_the_job(lie: str, sentence: str, broken: Any) -> None:
    status, said = broken.run("raise", "--backbone", f"liar={broken.faulty}:liar?{lie}", "--dry-run")
    assert sentence in said
    assert f"liar?{lie}" in said
    assert status == 1
    assert not broken.out.exists()
