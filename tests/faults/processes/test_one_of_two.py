"""A job on two processes, one of which is killed: the other ends, the job says why, and the same command mends it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml

pytestmark = pytest.mark.slow

PROTOCOL = {"version": 1, "about": "test", "extends": "mini", "epochs": 2, "batch": 24, "device_batch": 12}
PROTOCOL |= {"resolution": 32, "hflip": 0.5, "ema": 0.5}
COLUMNS = [
    {"heading": "Tuned", "task": "imagenet_finetune", "dataset": "imagenet", "metric": "top1"},
    {"heading": "kNN", "task": "knn", "dataset": "imagenet", "protocol": "small", "metric": "top1"},
]
AFTER = 7  # of the forwards of a process: six are steps, then come the test images


def shared(broken: Any) -> Any:
    """The suite with a fine-tuning that two processes can share, and a job that they cannot."""
    protocol = broken.folder / "tuned.yaml"
    protocol.write_text(yaml.safe_dump(PROTOCOL))
    suite = yaml.safe_load((broken.folder / "faults.yaml").read_text())
    suite["tables"]["table1"]["columns"] = [{**COLUMNS[0], "protocol": str(protocol)}, COLUMNS[1]]
    (broken.folder / "faults.yaml").write_text(yaml.safe_dump(suite))
    return broken


def measured(broken: Any) -> dict[str, tuple[dict[str, float], bytes]]:
    """Metrics, and what was stored of each image, by task."""
    found = {}
    for path in (broken.out / "results").glob("*/*.json"):
        record = json.loads(path.read_text())
        raw = np.load(path.with_suffix(".npz"))
        found[record["key"]["task"]] = record["metrics"], b"".join(raw[name].tobytes() for name in sorted(raw))
    return found


def processes_of(folder: Path) -> list[psutil.Process]:
    """Those that have a file of the folder open."""
    found = []
    for process in psutil.process_iter():
        try:
            files = [file.path for file in process.open_files()]
        except psutil.Error:
            continue
        if process.pid != psutil.Process().pid and any(path.startswith(str(folder)) for path in files):
            found.append(process)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def undisturbed(make_broken: Callable[[], Any]) -> dict[str, tuple[dict[str, float], bytes]]:
    broken = shared(make_broken())
    broken.trap.unlink()
    status, said = broken.run("die", "--processes", "2", rank=1)
    assert status == 0, said
    results = measured(broken)
    assert results.keys() == {"imagenet_finetune", "knn"}
    return results


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_is_killed_after_the_training(rank: int, broken: Any, undisturbed: dict[str, Any]) -> None:
    shared(broken)
    status, said = broken.run("die", "--processes", "2", rank=rank, at=AFTER)
    assert broken.sprung
    assert status == 1
    cause = f"process {rank} of 2: the process was ended by SIGKILL (the system does that when memory runs out)"
    assert f"{cause}; the same command goes on from the last save" in said
    assert measured(broken) == {"knn": undisturbed["knn"]}
    wait_until(lambda: not processes_of(broken.out))

    status, said = broken.run("die", "--processes", "2", rank=rank, at=AFTER)
    assert status == 0, said
    assert "2 jobs: 1 done before, 1 to run" in said
    assert measured(broken) == undisturbed
