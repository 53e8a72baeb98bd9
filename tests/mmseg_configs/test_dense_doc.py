"""The example of docs/dense.md trains with MMSegmentation's own Runner, in a process that knows nothing else of us."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from umt.data.contract import Dataset

DOC = Path(__file__).parents[2] / "docs" / "dense.md"


def test_the_config_of_the_docs_trains_and_tests(rooms: Dataset, tmp_path: Path) -> None:
    config, program = re.findall(r"```python\n(.*?)```", DOC.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "config.py").write_text(config)
    (tmp_path / "train.py").write_text(program)
    (tmp_path / "ADEChallengeData2016").symlink_to(rooms.root)
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert re.search(r"Iter\(val\) \[3/3\].*mIoU: \d", done.stdout), done.stdout[-1000:]
    assert (tmp_path / "work" / "iter_2.pth").is_file()
