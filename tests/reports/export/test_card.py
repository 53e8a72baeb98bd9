"""Model cards: every number and name from where it is known, a plain word where it is not, and nothing that acts."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from markdown_it import MarkdownIt

from benchmarks.suite.suite import Column
from reports.export.card import model_card, results_of
from reports.results.measurement import Measurement
from reports.results.store import ANALYSIS
from umt.backbones import Backbone, create_backbone
from umt.export.agreement import Agreement, Exported
from umt.export.targets import TARGETS

EXPORTED = Exported([Agreement((2, 64, 64), {"pooled": 1.5e-7, "map_0": 2.5e-6})], "images of 64 x 64 only")
ELEMENTS = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "pre", "code"}


@pytest.fixture
def backbone(checkpoint: Callable[[str], Path]) -> Backbone:
    return create_backbone(str(checkpoint("vit")))


def line_of(card: str, start: str) -> list[str]:
    """Cells of the row of a table that begins so."""
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {start} |")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_teachers_stand_with_losses_and_licences(backbone: Backbone) -> None:
    card = model_card(backbone, TARGETS["timm"], EXPORTED, [])
    assert line_of(card, "mae")[3:] == ["patch\\_mse", "0.25", "0.125", "cc-by-nc-4.0"]
    dino = line_of(card, "dino")
    assert dino[2] == "timm:vit\\_small\\_patch14\\_dinov2, dino\\_own.pth"
    assert dino[3:] == ["patch\\_cosine", "0.5", "not stated", "unknown"]


def test_the_recipe_is_there_to_be_used_again(backbone: Backbone) -> None:
    card = model_card(backbone, TARGETS["timm"], EXPORTED, [])
    assert yaml.safe_load(card.split("```yaml\n")[1].split("```")[0]) == backbone.provenance["recipe"]
    assert "Images: 1234; origin: photos; fingerprint: f00d." in card
    assert "somebody" not in card


def test_what_was_measured_of_the_export_is_said(backbone: Backbone) -> None:
    card = model_card(backbone, TARGETS["onnx"], EXPORTED, [])
    assert line_of(card, "2 x 64 x 64") == ["2 x 64 x 64", "2.5e-06", "map\\_0"]
    assert "images of 64 x 64 only" in card
    assert line_of(card, "cls")[1] == f"[B, {backbone.channels[-1]}]"
    assert line_of(card, "map_1")[1].startswith(f"[B, {backbone.channels[1]}, H / {backbone.strides[1]}")


def test_results_name_their_protocol_and_average_seeds(
    backbone: Backbone, measurement: Callable[..., Measurement], cub: Column, nyu: Column
) -> None:
    measurements = [
        measurement(cub, 80.0, seed=0),
        measurement(cub, 81.0, seed=1),
        measurement(cub, 60.0, protocol="mini", protocol_hash="ba9876543210"),
        measurement(nyu, 0.5, title="rendered rooms", official=False, footnote="A note."),
        measurement(nyu, 99.0, suite=ANALYSIS),
    ]
    card = model_card(backbone, TARGETS["timm"], EXPORTED, results_of(measurements))
    table = [line for line in card.splitlines() if "finegrained" in line and line.startswith("|")]
    assert [line.split(" | ")[2:] for line in table] == [
        ["mini version 1 (ba9876543210)", "acc. (%) ↑", "60.0", "1 |"],
        ["paper version 1 (0123456789ab)", "acc. (%) ↑", "80.5 ± 0.7", "2 |"],
    ]
    assert line_of(card, "rendered rooms")[1:] == [
        "nyuv2\\_depth",
        "paper version 1 (0123456789ab)",
        "RMSE (m) ↓",
        "0.500",
        "1",
    ]
    assert "version 1 (01234567). A note." in card
    assert "99.0" not in card


def test_only_a_hub_has_front_matter(backbone: Backbone) -> None:
    cards = {name: model_card(backbone, target, EXPORTED, []) for name, target in TARGETS.items()}
    _, front, _ = cards["hub"].split("---\n", 2)
    assert yaml.safe_load(front)["library_name"] == "timm"
    assert "license" not in yaml.safe_load(front)
    assert all(cards[name].startswith("# test") for name in ("timm", "onnx"))


def test_text_from_a_file_stays_text(backbone: Backbone, hostile: str) -> None:
    backbone.architecture = hostile
    recipe = {**backbone.provenance["recipe"], "name": hostile, "about": "```\n# out of the block\n```"}
    backbone.provenance = {**backbone.provenance, "recipe": recipe}
    card = model_card(backbone, TARGETS["hub"], EXPORTED, [])
    body = card.split("---\n", 2)[2]
    assert "<script>" not in body.split("```yaml")[0]
    assert body.count("```") == 4
    assert yaml.safe_load(card.split("---\n", 2)[1])["tags"][-1] == hostile


def test_nothing_that_a_file_says_acts(
    backbone: Backbone, measurement: Callable[..., Measurement], cub: Column, hostile: str
) -> None:
    """Text of any field, also where a number is expected, neither is markup nor acts on a screen."""
    text = f"{hostile} \x1b[2J\x9b\u202e\n# h\n```\n---\n<b>"
    recipe = {**backbone.provenance["recipe"], "name": text, "about": text}
    recipe["teachers"] = [{"name": text, "kind": text, "backbone": text, "weights": text}]
    said = {"recipe": recipe, "losses": {text: {"feature": 0.5}}, "objectives": {text: text}, "space": [text]}
    backbone.architecture = text
    backbone.provenance = {**said, "data": {"images": [text], "origin": text, "fingerprint": {text: text}}}
    results = [
        measurement(cub, 80.0, **dict.fromkeys(("title", "origin", "footnote", "protocol", "protocol_hash"), text)),
        measurement(cub, 80.0, task=text, metrics={text: 1.0}, units={text: text}),
    ]
    card = model_card(backbone, TARGETS["hub"], EXPORTED, results_of(results))
    assert all(line.isprintable() for line in card.split("\n"))
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front)["tags"][-1].endswith("--- <b>")
    assert [line[:7] for line in body.split("\n") if line.startswith("```")] == ["```pyth", "```", "```yaml", "```"]
    read = MarkdownIt("commonmark").enable("table").render(body)
    assert set(re.findall(r"<(\w+)", read)) <= ELEMENTS
    assert read.count("<h1>") == 1
