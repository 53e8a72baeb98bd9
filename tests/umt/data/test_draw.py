"""The draw of training images: seeded, stable, and the published one where that is asked for."""

from __future__ import annotations

import random

import pytest

from umt.data.draw import Draw
from umt.errors import UMTError

NAMES = [f"image_{number:04d}.jpg" for number in range(1, 101)]


def test_without_replacement_it_depends_on_names_and_seed_only() -> None:
    shuffled = random.Random(0).sample(NAMES, len(NAMES))
    drawn = Draw().drawn({"ant": NAMES, "beaver": NAMES})
    assert drawn["ant"] == Draw().drawn({"ant": shuffled})["ant"]
    assert len(set(drawn["ant"])) == 30
    assert drawn["ant"] != drawn["beaver"]
    assert {*drawn["ant"]} - {NAMES[0]} <= {*Draw().drawn({"ant": NAMES[1:]})["ant"]}  # one missing moves at most one
    assert drawn["ant"] != Draw(seed=1).drawn({"ant": NAMES})["ant"]
    # Worked out with coreutils' sha256sum and sort; another draw is another data set.
    assert drawn["ant"][:3] == ["image_0003.jpg", "image_0007.jpg", "image_0010.jpg"]
    assert Draw(seed=1).drawn({"ant": NAMES})["ant"][:3] == ["image_0002.jpg", "image_0015.jpg", "image_0016.jpg"]


def test_with_replacement_seed_0_is_the_published_split() -> None:
    """First and last images of the official folders that SSL-Transfer's caltech101-splits/train.txt names."""
    counts = {"BACKGROUND_Google": 467, "Faces": 435, "Faces_easy": 435, "Leopards": 200, "Motorbikes": 798}
    images = {name: [f"image_{number:04d}.jpg" for number in range(1, count + 1)] for name, count in counts.items()}
    drawn = Draw(replacement=True, background="in").drawn(images)
    assert [len(names) for names in drawn.values()] == [30] * 5
    assert [len(set(names)) for names in drawn.values()] == [28, 27, 29, 30, 29]
    assert [names[0][6:10] for names in drawn.values()] == ["0010", "0029", "0032", "0001", "0024"]
    assert [names[-1][6:10] for names in drawn.values()] == ["0405", "0432", "0431", "0198", "0783"]
    assert drawn != Draw(seed=1, replacement=True).drawn(images)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (Draw(seed=3), None),
        (Draw(replacement=True), "Caltech-101: training images are drawn with replacement (30 a class"),
        (Draw(background="in"), "Caltech-101: BACKGROUND_Google is a class of its own."),
    ],
)
def test_what_is_not_usual_is_said(draw: Draw, said: str | None) -> None:
    assert (draw.footnote or "").startswith(said) if said else draw.footnote is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"per_class": 0}, "give at least 1"),
        ({"seed": -1}, "0 or more"),
        ({"background": "inside"}, "unknown background 'inside'"),
    ],
)
def test_a_draw_that_makes_no_sense_is_an_error(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        Draw(**wrong)  # type: ignore[arg-type]
