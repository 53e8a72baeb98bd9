"""A task from outside: mean brightness of the test images, and on request the ways in which a job can go wrong."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from benchmarks.tasks.contract import Job, Metric, Outcome, Task


@dataclass(frozen=True)
class Settings:
    behaviour: str = "ok"
    seconds: float = 0.0


def went_on(job: Job[Settings]) -> bool:
    """Save once, if the job is to save; true if an earlier process of this job has done so."""
    save = job.work_dir / "save"
    if job.settings.behaviour == "save" and save.exists():
        print("goes on from the save", flush=True)
        return True
    save.touch()
    return False


def run(job: Job[Settings]) -> Outcome:
    print(f"server {os.getppid()}, {torch.get_num_threads()} threads", flush=True)
    if job.settings.behaviour == "raise":
        raise ValueError("this task always fails")
    if job.settings.behaviour == "die":
        os._exit(9)
    job.progress(1, 2, "naps")
    while job.settings.behaviour == "hold" and not (job.work_dir / "go").exists():
        time.sleep(0.05)
    time.sleep(0 if went_on(job) else job.settings.seconds)
    values = [np.asarray(Image.open(sample.image)).mean() for sample in job.dataset.samples("val")]
    job.progress(len(values), len(values), "images")
    brightness = float("nan") if job.settings.behaviour == "nan" else float(np.mean(values)) + job.seed
    return Outcome({"brightness": brightness}, raw={"brightness": np.array(values)})


TASK = Task(
    name="brightness",
    about="Mean brightness",
    settings=Settings,
    metrics=(Metric("brightness", ""),),
    run=run,
)
