"""The Caltech-101 layout and its draw of 30."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from umt.data.contract import Dataset
from umt.data.registry import dataset_info, find_dataset
from umt.data.sets.caltech101 import BACKGROUND, INFO, Draw, clip_name
from umt.errors import UMTError


def make_class(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"image_{number:04d}.jpg").touch()


def test_the_official_sizes_follow_from_the_published_counts() -> None:
    images, background, classes = 9144, 467, 101
    assert INFO.splits == {"train": 30 * classes, "test": images - background - 30 * classes}


def test_splits_are_disjoint_complete_and_without_background(tmp_path: Path) -> None:
    for name, count in (("ant", 31), ("beaver", 45), (BACKGROUND, 40)):
        make_class(tmp_path / name, count)
    dataset = Dataset(INFO, tmp_path)
    train, test = ({sample.image for sample in dataset.samples(split)} for split in ("train", "test"))
    assert dataset.class_names == ["ant", "beaver"]
    assert dataset.sizes == {"train": 60, "test": 1 + 15}
    assert not train & test


def test_another_draw_is_other_data_in_the_same_folder(tmp_path: Path) -> None:
    """Every choice changes the fingerprint, on which results depend; none changes what is in the folder."""
    for name, count in (("ant", 45), ("beaver", 45), (BACKGROUND, 45)):
        make_class(tmp_path / name, count)
    draws = {
        "": Draw(),
        "?seed=1": Draw(seed=1),
        "?per_class=29": Draw(per_class=29),
        "?replacement=true": Draw(replacement=True),
        "?background=in": Draw(background="in"),
    }
    sets = [Dataset(dataset_info(f"caltech101{query}"), tmp_path) for query in draws]
    assert len({found.fingerprint for found in sets}) == len(draws)
    assert dataset_info("caltech101?draw=usual") is INFO
    for draw, found in zip(draws.values(), sets, strict=True):
        names = [BACKGROUND, "ant", "beaver"] if draw.background == "in" else ["ant", "beaver"]
        images = {split: [sample.image for sample in found.samples(split)] for split in ("train", "test")}
        assert found.class_names == names
        assert found.sizes["train"] == draw.per_class * len(names)
        assert not set(images["train"]) & set(images["test"])
        assert len({*images["train"], *images["test"]}) == 45 * len(names)
        assert (len(set(images["train"])) < len(images["train"])) == draw.replacement
        assert len(set(images["test"])) == len(images["test"])
        assert found.official is sets[0].official is False


def test_an_official_folder_is_one_by_any_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_class(tmp_path / "ant", 45)
    make_class(tmp_path / BACKGROUND, 45)
    small = replace(INFO, splits={"train": 30, "test": 15})
    monkeypatch.setattr("umt.data.sets.caltech101.INFO", small)
    published = Dataset(dataset_info("caltech101?draw=published"), tmp_path)
    assert (published.official, published.title) == (True, "Caltech-101")


def test_a_class_too_small_for_the_draw_is_named(tmp_path: Path) -> None:
    make_class(tmp_path / "ant", 30)
    with pytest.raises(UMTError, match="ant: 30 images, 30 to train and at least one to test"):
        Dataset(INFO, tmp_path).samples("train")


def test_real_folders(real_data: Path) -> None:
    dataset = find_dataset("caltech101", real_data)
    assert len(dataset.class_names) == INFO.classes
    assert dataset.sizes["train"] == INFO.splits["train"]
    assert dataset.title == f"Caltech-101 layout, {sum(dataset.sizes.values())} items"


NAMES = [f"image_{number:04d}.jpg" for number in range(1, 101)]


def test_without_replacement_it_depends_on_names_and_seed_only() -> None:
    shuffled = random.Random(0).sample(NAMES, len(NAMES))
    drawn = Draw().training_names({"ant": NAMES, "beaver": NAMES})
    assert drawn["ant"] == Draw().training_names({"ant": shuffled})["ant"]
    assert len(set(drawn["ant"])) == 30
    assert drawn["ant"] != drawn["beaver"]
    assert {*drawn["ant"]} - {NAMES[0]} <= {
        *Draw().training_names({"ant": NAMES[1:]})["ant"]
    }  # one missing moves at most one
    assert drawn["ant"] != Draw(seed=1).training_names({"ant": NAMES})["ant"]
    # Worked out with coreutils' sha256sum and sort; another draw is another data set.
    assert drawn["ant"][:3] == ["image_0003.jpg", "image_0007.jpg", "image_0010.jpg"]
    assert Draw(seed=1).training_names({"ant": NAMES})["ant"][:3] == [
        "image_0002.jpg",
        "image_0015.jpg",
        "image_0016.jpg",
    ]


def test_with_replacement_seed_0_is_the_published_split() -> None:
    """First and last images of the official folders that SSL-Transfer's caltech101-splits/train.txt names."""
    counts = {"BACKGROUND_Google": 467, "Faces": 435, "Faces_easy": 435, "Leopards": 200, "Motorbikes": 798}
    images = {name: [f"image_{number:04d}.jpg" for number in range(1, count + 1)] for name, count in counts.items()}
    drawn = Draw(replacement=True, background="in").training_names(images)
    assert [len(names) for names in drawn.values()] == [30] * 5
    assert [len(set(names)) for names in drawn.values()] == [28, 27, 29, 30, 29]
    assert [names[0][6:10] for names in drawn.values()] == ["0010", "0029", "0032", "0001", "0024"]
    assert [names[-1][6:10] for names in drawn.values()] == ["0405", "0432", "0431", "0198", "0783"]
    assert drawn != Draw(seed=1, replacement=True).training_names(images)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        (Draw(), None),
        (Draw(seed=3), "Caltech-101: they are drawn with seed 3."),
        (Draw(per_class=5), "Caltech-101: 5 images a class are drawn to train on."),
        (Draw(replacement=True), "Caltech-101: training images are drawn with replacement (30 a class"),
        (Draw(background="in"), "Caltech-101: BACKGROUND_Google is a class of its own."),
    ],
)
def test_what_is_not_usual_is_said(draw: Draw, said: str | None) -> None:
    assert (draw.footnote or "").startswith(said) if said else draw.footnote is None


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"per_class": 0}, "take at least 1 image"),
        ({"seed": -1}, "0 or more"),
        ({"background": "inside"}, "unknown background 'inside'"),
    ],
)
def test_a_draw_that_makes_no_sense_is_an_error(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(UMTError, match=message):
        Draw(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("draw=publishd", "unknown draw of data set 'caltech101.draw=publishd' 'publishd'. Did you mean published"),
        ("per_clas=5", "per_clas"),
        ("seed=one", "field 'seed' is 'one'"),
        ("published", "options 'published' are not key=value pairs"),
    ],
)
def test_a_wrong_query_is_an_error(query: str, message: str) -> None:
    with pytest.raises(UMTError, match=message):
        dataset_info(f"caltech101?{query}")


# the 102 classes of CLIP's prompts in their order, that of the folders (data/prompts.md of its repository)
CLIPS = """background, off-center face, centered face, leopard, motorbike, accordion, airplane, anchor, ant, barrel,
bass, beaver, binocular, bonsai, brain, brontosaurus, buddha, butterfly, camera, cannon, side of a car,
ceiling fan, cellphone, chair, chandelier, body of a cougar cat, face of a cougar cat, crab, crayfish,
crocodile, head of a  crocodile, cup, dalmatian, dollar bill, dolphin, dragonfly, electric guitar,
elephant, emu, euphonium, ewer, ferry, flamingo, head of a flamingo, garfield, gerenuk, gramophone,
grand piano, hawksbill, headphone, hedgehog, helicopter, ibis, inline skate, joshua tree, kangaroo, ketch,
lamp, laptop, llama, lobster, lotus, mandolin, mayfly, menorah, metronome, minaret, nautilus, octopus,
okapi, pagoda, panda, pigeon, pizza, platypus, pyramid, revolver, rhino, rooster, saxophone, schooner,
scissors, scorpion, sea horse, snoopy (cartoon beagle), soccer ball, stapler, starfish, stegosaurus,
stop sign, strawberry, sunflower, tick, trilobite, umbrella, watch, water lilly, wheelchair, wild cat,
windsor chair, wrench, yin and yang symbol"""


def test_clips_names_and_its_102nd_class(real_data: Path) -> None:
    folders = sorted(path.name for path in (real_data / "caltech101/101_ObjectCategories").iterdir() if path.is_dir())
    names = [clip_name(folder) for folder in sorted({BACKGROUND, *folders})]
    assert names == [name.strip() for name in CLIPS.replace("\n", " ").split(", ")]
    assert sum(name != clip_name(name).replace(" ", "_") for name in {*folders} - {BACKGROUND}) == 12


def test_clips_names_are_a_variant_of_the_same_images(tmp_path: Path) -> None:
    for name in ("Faces", "beaver", BACKGROUND):
        make_class(tmp_path / name, 33)
    plain, renamed, both = (
        Dataset(dataset_info(f"caltech101{query}"), tmp_path)
        for query in ("", "?names=clip", "?background=in&names=clip")
    )
    assert renamed.spoken_names == ["off-center face", "beaver"]
    assert plain.spoken_names == ["Faces", "beaver"]
    assert both.spoken_names == ["background", "off-center face", "beaver"]
    assert renamed.samples("test") == plain.samples("test")
    assert "as by CLIP's authors" in str(renamed.info.footnote)
    assert "BACKGROUND_Google is a class of its own. Caltech-101: classes are" in str(both.info.footnote)
    with pytest.raises(
        UMTError, match=r"unknown names of data set 'caltech101.names=clips' 'clips'\. Did you mean clip"
    ):
        dataset_info("caltech101?names=clips")
