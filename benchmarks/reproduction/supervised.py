"""The student without distillation: trained on the class labels of the same images, and saved as a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from benchmarks.reproduction.experiment import FILE, Arm, Experiment, load_experiment
from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.data.contract import Sample
from umt.data.images import ImageSamples
from umt.data.reading import class_images, subfolders
from umt.data.transforms import train_transform
from umt.training.batches import SeededViews
from umt.training.classifier import Classifier
from umt.training.engine import RunContext, fit
from umt.training.param_groups import layer_decay_groups


def train(images: Path, seed: int, out: Path, experiment: Experiment, arm: Arm) -> Path:
    """Train by the experiment's own recipe, with the arm's budget; crops and mirror images as in the mini recipes."""
    classes = subfolders(images)
    samples = [
        Sample(images / name / file, label)
        for label, name in enumerate(classes)
        for file in class_images(images / name)
    ]
    transform = train_transform(experiment.view, "bicubic", auto_augment=None, reprob=0.0, scale=(0.4, 1.0), hflip=0.5)
    student = create_backbone(experiment.student, seed=seed, pretrained=False)
    model, recipe = Classifier(student, len(classes)), experiment.training_of_labels(arm)
    groups = layer_decay_groups(student, model.head, lr=recipe.lr, weight_decay=recipe.weight_decay, layer_decay=1.0)
    out.mkdir(parents=True, exist_ok=True)
    context = RunContext(torch.device("cpu"), out, seed, lambda done, total, text: None)
    fit(model, groups, SeededViews(ImageSamples(samples, transform), seed), recipe, context)
    save_checkpoint(out / "student.pth", student, provenance={"images": len(samples), "classes": len(classes)})
    return out / "student.pth"


def main() -> None:
    """Run `python -m benchmarks.reproduction.supervised IMAGES SEED OUT ARM [--experiment FILE]`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("arm")
    parser.add_argument("--experiment", type=Path, default=FILE)
    arguments = parser.parse_args()
    experiment = load_experiment(arguments.experiment)
    arm = next(arm for arm in experiment.trained_arms if arm.name == arguments.arm)
    train(arguments.images, arguments.seed, arguments.out, experiment, arm)


if __name__ == "__main__":
    main()
