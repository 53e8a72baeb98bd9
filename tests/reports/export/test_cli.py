"""`umt export` as a user types it, and what other libraries make of its folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import timm
import torch
from click.testing import CliRunner, Result

from benchmarks.results import ResultStore
from benchmarks.suite.suite import Column
from reports.export.cli import export
from umt.backbones import create_backbone
from umt.backbones.checkpoint import save_checkpoint
from umt.errors import UMTError

Write = Callable[..., Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(export, [*map(str, arguments)], catch_exceptions=False)


def fails(message: str, *arguments: object) -> None:
    with pytest.raises(UMTError, match=message) as error:
        run(*arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["cnn", "vit"])
def test_a_student_for_timm_lies_beside_its_file(checkpoint: Write, kind: str) -> None:
    path = checkpoint(kind)
    outcome = run(path, "--to", "timm")
    out = path.parent / "export" / "timm"
    assert outcome.stdout.count("largest relative difference, images ") == 2
    assert f"wrote {out}" in outcome.stdout
    assert {file.name for file in out.iterdir()} == {"README.md", "config.json", "export.json", "model.safetensors"}
    assert not (out / "README.md").read_text().startswith("---")
    model, backbone = timm.create_model(f"local-dir:{out}", pretrained=True).eval(), create_backbone(str(path))
    images = torch.rand(1, 3, 96, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        theirs = model((images - backbone.mean) / backbone.std)
        torch.testing.assert_close(theirs, backbone(images).pooled, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_student_is_written_plain_or_through_the_heads_that_its_file_names(checkpoint: Write) -> None:
    path = checkpoint("cnn", "readout={classification: mae, dense: dino}")
    assert "the plain student, without heads; --head writes it" in run(path, "--to", "onnx").stdout
    assert "the plain student" not in run(path, "--to", "onnx", "--head").stdout
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for folder, name in (("onnx", f"{path}#backbone"), ("onnx-head", str(path))):
        out = path.parent / "export" / folder
        session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
        with torch.no_grad():
            expected = create_backbone(name)(images).pooled
        (found,) = session.run(["pooled"], {"images": images.numpy()})
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * expected.abs().max())
    assert "seen through its spaces mae and dino" in (path.parent / "export" / "onnx-head" / "README.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cnn", "vit"])
def test_a_space_becomes_onnx(checkpoint: Write, kind: str) -> None:
    spec = f"{checkpoint(kind)}#dino"
    outcome = run(spec, "--to", "onnx")
    out = Path(spec).parent / "export" / "onnx-dino"
    assert "limit" not in outcome.stdout
    session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
    backbone = create_backbone(spec)
    images = torch.rand(3, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = backbone(images)
    names = [output.name for output in session.get_outputs()]
    assert names == [
        "pooled",
        *(["cls"] if kind == "vit" else []),
        *(f"map_{index}" for index in range(backbone.depth)),
    ]
    found = dict(zip(names, session.run(names, {"images": images.numpy()}), strict=True))
    for name, expected in (("pooled", ours.pooled), (names[-1], ours.maps[-1])):
        np.testing.assert_allclose(found[name], expected, rtol=1e-3, atol=1e-4 * expected.abs().max())
    assert json.loads((out / "export.json").read_text())["space"] == "dino"
    assert "seen through its space dino" in (out / "README.md").read_text()


def test_a_hub_folder_has_a_card_that_the_hub_reads(
    checkpoint: Write, store: ResultStore, result: Callable, cub: Column, tmp_path: Path
) -> None:
    path = checkpoint("cnn")
    store.write(result(cub, 81.25, weights_hash=create_backbone(str(path)).weights_hash()))
    store.write(result(cub, 12.5, backbone="another"))
    outcome = run(path, "--to", "hub", "--out", tmp_path / "hub", "--results", store.folder)
    assert "hf upload OWNER/NAME" in outcome.stdout
    card = (tmp_path / "hub" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: timm\npipeline_tag: image-feature-extraction\n")
    assert "| 81.2 |" in card
    assert "12.5" not in card


def test_an_export_is_replaced_and_a_folder_is_not(checkpoint: Write, tmp_path: Path) -> None:
    path = checkpoint("cnn")
    for _ in range(2):
        assert run(path, "--to", "timm", "--out", tmp_path / "out").exit_code == 0
    (tmp_path / "out" / "notes.txt").write_text("mine")
    fails("out: holds 'notes.txt', which no export put there", path, "--to", "timm", "--out", tmp_path / "out")


def test_a_space_is_nothing_for_timm(checkpoint: Write, tmp_path: Path) -> None:
    spec = f"{checkpoint('cnn')}#dino"
    fails("timm has no interaction modules, .*; take --to onnx", spec, "--to", "timm", "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_mistakes_in_the_name_are_one_line(checkpoint: Write, tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(1)}, tmp_path / "plain.pth")
    fails("none.pth: no such weight file", tmp_path / "none.pth", "--to", "timm")
    fails("plain.pth: refused: its 1 tensors", tmp_path / "plain.pth", "--to", "timm")
    fails("timm:resnet50: no checkpoint file; name one that `umt distill` wrote", "timm:resnet50", "--to", "timm")
    fails(
        "unknown head of .* 'dinno'. Did you mean dino.*Known: backbone, dino, mae",
        f"{checkpoint('cnn')}#dinno",
        "--to",
        "onnx",
    )


def test_results_of_other_weights_are_refused(
    checkpoint: Write, store: ResultStore, result: Callable, cub: Column
) -> None:
    store.write(result(cub, 90.0))
    fails(
        "no result is of the weights .*; evaluate them with",
        checkpoint("cnn"),
        "--to",
        "timm",
        "--results",
        store.folder,
    )


def test_a_file_without_history_gets_a_card_that_says_so(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "bare.pth", create_backbone("timm:test_resnet?pretrained=false"))
    run(tmp_path / "bare.pth", "--to", "timm", "--out", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Its file does not say how it was trained." in card
    assert card.count("Not stated by the file.") == 2
