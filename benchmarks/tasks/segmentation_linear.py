"""Linear segmentation of any data set: the engine of the ADE20K probe, with protocols of other sets."""

from __future__ import annotations

from dataclasses import replace

from benchmarks.tasks import ade20k_linear

TASK = replace(
    ade20k_linear.TASK, name="segmentation_linear", about="linear segmentation head on frozen maps of VOC or Cityscapes"
)
