"""A data preparation that is killed: nothing stands in the place of the set, and the same command makes it whole."""

from __future__ import annotations

import signal
import subprocess
import sys
import tarfile
from pathlib import Path

from rich.progress import Progress

from umt.data.prepare import prepare

KILLED = """
import os, signal, sys
from pathlib import Path
from rich.progress import Progress
from umt.data.prepare import flow, prepare

flow.count_items = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # everything is there but for the last step
prepare("cub", Path(sys.argv[1]), Path(sys.argv[2]), Progress(disable=True))
"""
FILES = {
    "classes.txt": "1 001.Auk\n",
    "images.txt": "1 001.Auk/a.jpg\n2 001.Auk/b.jpg\n",
    "image_class_labels.txt": "1 1\n2 1\n",
    "train_test_split.txt": "1 1\n2 0\n",
    "images/001.Auk/a.jpg": "one",
    "images/001.Auk/b.jpg": "two",
}


def test_killed_before_the_last_step(tmp_path: Path) -> None:
    for name, text in FILES.items():
        path = tmp_path / "CUB_200_2011" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    archive, root = tmp_path / "CUB_200_2011.tgz", tmp_path / "data"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(tmp_path / "CUB_200_2011", "CUB_200_2011")

    ended = subprocess.run([sys.executable, "-c", KILLED, str(root), str(archive)], timeout=300)
    assert ended.returncode == -signal.SIGKILL
    assert list(root.rglob("b.jpg"))
    assert not (root / "CUB_200_2011").exists()

    assert prepare("cub", root, archive, Progress(disable=True))[0].sizes == {"train": 1, "test": 1}
    assert (root / "CUB_200_2011" / "images" / "001.Auk" / "b.jpg").read_text() == "two"
    assert len(list(root.rglob("b.jpg"))) == 1
