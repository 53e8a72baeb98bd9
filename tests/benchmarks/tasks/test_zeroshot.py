"""Zero-shot classification against open_clip's own code, through a student's CLIP space, and what has no texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.transform import image_transform
from open_clip.zero_shot_classifier import build_zero_shot_classifier_legacy
from PIL import Image
from sklearn.metrics import top_k_accuracy_score
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.suite.protocols import protocol_names
from benchmarks.tasks.contract import Job
from benchmarks.tasks.zeroshot import TASK, sentences
from umt.backbones import create_backbone
from umt.backbones.adapters import open_clip_text
from umt.backbones.adapters.open_clip_text import class_directions
from umt.data.contract import Dataset
from umt.data.registry import dataset_info
from umt.distill.distiller import Distiller
from umt.distill.recipe import load_recipe
from umt.distill.spaces.shapes import SpaceShape
from umt.distill.train import save_student
from umt.errors import UMTError

MakeJob = Callable[..., Job]
MakeDataset = Callable[..., Dataset]
WIDTH = 512  # of the encodings, as the architecture's name has it
CONFIG = {
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
SENTENCE = "a photo of a {}."


@pytest.fixture(scope="module")
def clip() -> nn.Module:
    """A stand-in for CLIP: both towers small and random, the tokenizer the real one."""
    torch.manual_seed(1)
    return open_clip.create_model("ViT-B-32", **CONFIG).eval()


@pytest.fixture(scope="module")
def weights(clip: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.pth"
    torch.save(clip.state_dict(), path)
    return path


def spec_of(weights: Path | None) -> str:
    options = "&".join(f"{name}={json.dumps(value)}" for name, value in CONFIG.items())
    return f"open_clip:ViT-B-32?{options}" + (f"&weights={weights}" if weights else "")


def open_clips_classifier(clip: nn.Module, names: list[str], templates: list[str]) -> Tensor:
    """[D, C] by open_clip's code for one class at a time."""
    tokenizer = open_clip.get_tokenizer("ViT-B-32", context_length=CONFIG["text_cfg"]["context_length"])
    return build_zero_shot_classifier_legacy(clip, tokenizer, names, templates)


def test_scores_and_accuracies_are_open_clips_own(
    clip: nn.Module, weights: Path, make_job: MakeJob, photographs: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip_text, "CLASSES_AT_ONCE", 3)  # of eight: the last part is a smaller one
    outcome = TASK.run(make_job(TASK.name, photographs, spec=spec_of(weights)))
    names = [name.replace("_", " ") for name in photographs.class_names]
    templates = sentences(photographs.prompts)
    assert len(templates) == 34
    transform = image_transform(32, is_train=False)
    samples = photographs.samples("test")
    with torch.no_grad():
        pixels = torch.stack([transform(Image.open(sample.image)) for sample in samples])
        expected = clip.encode_image(pixels, normalize=True) @ open_clips_classifier(clip, names, templates)
    np.testing.assert_allclose(outcome.raw["scores"], expected, atol=1e-5)
    labels = [sample.target for sample in samples]
    for k in (1, 5):
        assert outcome.metrics[f"top{k}"] == pytest.approx(100 * top_k_accuracy_score(labels, expected, k=k))


@pytest.mark.slow
@pytest.mark.parametrize("openai", [True, False])
def test_a_recognised_file_has_the_texts_of_the_part_that_is_taken(tmp_path: Path, openai: bool) -> None:
    """OpenAI's bare archive, and the averaged weights of a training beside its last ones."""
    torch.manual_seed(0)
    whole = open_clip.create_model("ViT-S-32-alt", force_quick_gelu=openai).eval()
    state, path = whole.state_dict(), tmp_path / "model.pth"
    sizes = dict.fromkeys(("input_resolution", "context_length", "vocab_size"), torch.tensor(77))
    last = {f"module.{name}": torch.zeros_like(value) for name, value in state.items()}
    averaged = {f"module.{name}": value for name, value in state.items()}
    torch.save({**state, **sizes} if openai else {"state_dict": last, "state_dict_ema": averaged}, path)
    language = create_backbone(f"{path}{'' if openai else '?force_quick_gelu=false&dtype=bf16'}").language
    assert language
    found = class_directions(language, ["red", "green"], [SENTENCE], torch.device("cpu"), lambda *_: None)
    tokenizer = open_clip.get_tokenizer("ViT-S-32-alt")
    expected = build_zero_shot_classifier_legacy(whole, tokenizer, ["red", "green"], [SENTENCE])
    torch.testing.assert_close(found.T, expected)
    torch.save({name: value for name, value in state.items() if name.startswith("visual.")}, path)
    assert create_backbone(f"{path}?force_quick_gelu=false").language is None
    torch.save(state, path)
    assert create_backbone(f"{path}?force_quick_gelu=false&pool=cls").language is None, "it is no encoding of texts"


def test_random_towers_belong_together(make_job: MakeJob, make_dataset: MakeDataset) -> None:
    """Both are built from the name alone, and are those that one model of the seed has."""
    outcome = TASK.run(make_job(TASK.name, make_dataset("cub"), "single", spec_of(None) + "&pretrained=false"))
    torch.manual_seed(0)
    whole = open_clip.create_model("ViT-B-32", **CONFIG).eval()
    classifier = open_clips_classifier(whole, ["red", "green", "blue"], [SENTENCE])
    transform = image_transform(32, is_train=False)
    with torch.no_grad():
        pixels = torch.stack([transform(Image.open(sample.image)) for sample in make_dataset("cub").samples("test")])
        expected = whole.encode_image(pixels, normalize=True) @ classifier
    np.testing.assert_allclose(outcome.raw["scores"], expected, atol=1e-5)


@pytest.mark.parametrize("protocol", protocol_names(TASK.name))
@pytest.mark.parametrize("dataset", ["imagenet", "aircraft", "caltech101", "cub"])
def test_every_protocol_runs(
    make_job: MakeJob, make_dataset: MakeDataset, weights: Path, dataset: str, protocol: str
) -> None:
    outcome = TASK.run(make_job(TASK.name, make_dataset(dataset), protocol, spec_of(weights)))
    assert outcome.metrics.keys() == {metric.name for metric in TASK.metrics}
    counts = {"imagenet": 80, "aircraft": 2, "caltech101": 34, "cub": 1} if protocol == "paper" else {}
    templates = outcome.details["templates"]
    assert templates["count"] == counts.get(dataset, 1)
    assert len(templates["hash"]) == 12
    assert outcome.details["class_names"]["count"] == 3


def student(folder: Path, teacher: dict[str, str], *changes: str) -> Path:
    """A checkpoint of a random student with a space of a CNN and one of the CLIP stand-in."""
    teachers = [
        {"name": "cls", "objective": "classification", "backbone": "timm:test_resnet"},
        {"name": "clip", "objective": "clip", **teacher},
    ]
    recipe = load_recipe("mini-cnn-pypi", [f"teachers={json.dumps(teachers)}", "interaction.groups=8", *changes])
    recipe = replace(recipe, student="timm:test_resnet")
    torch.manual_seed(0)
    shapes = [SpaceShape("cls", 24, 24), SpaceShape("clip", WIDTH, 32)]
    model = Distiller(recipe, create_backbone(recipe.student, pretrained=False), shapes)
    save_student(folder / "ckpt.pth", recipe, model, {}, {})
    return folder / "ckpt.pth"


@pytest.mark.parametrize("method", ["umt", "projectors"])
@pytest.mark.parametrize("apart", [False, True], ids=["named", "weights folder"])
def test_a_student_is_asked_in_its_teachers_words(
    clip: nn.Module,
    weights: Path,
    make_job: MakeJob,
    make_dataset: MakeDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    apart: bool,
) -> None:
    monkeypatch.setenv("UMT_WEIGHTS", str(weights.parent))
    teacher = {"backbone": spec_of(None), "weights": weights.name} if apart else {"backbone": spec_of(weights)}
    path = student(tmp_path, teacher, f"interaction.method={method}")
    job = make_job(TASK.name, make_dataset("cub"), "mini", f"{path}#clip", resolution=32)
    outcome = TASK.run(job)
    images = np.stack([np.array(Image.open(sample.image)) for sample in job.dataset.samples("test")])
    with torch.no_grad():
        pooled = job.backbone(torch.from_numpy(images).permute(0, 3, 1, 2) / 255, maps=()).pooled
    expected = F.normalize(pooled, dim=1) @ open_clips_classifier(clip, ["red", "green", "blue"], [SENTENCE])
    assert pooled.shape[1] == WIDTH
    np.testing.assert_allclose(outcome.raw["scores"], expected, atol=1e-5)
    assert str(weights) in outcome.details["language"]


def test_what_has_no_texts_says_what_has(
    make_job: MakeJob, make_dataset: MakeDataset, weights: Path, tmp_path: Path
) -> None:
    def asked(spec: str) -> None:
        TASK.run(make_job(TASK.name, make_dataset("cub"), "mini", spec))

    with pytest.raises(UMTError, match=r"'timm:test_resnet\?pretrained=false' has no space .* take an open_clip model"):
        asked("timm:test_resnet?pretrained=false")
    path = student(tmp_path, {"backbone": spec_of(weights)})
    for tap in ("", "#cls"):
        with pytest.raises(UMTError, match=rf"take {path}#clip$"):
            asked(f"{path}{tap}")
    tower = tmp_path / "tower.pth"
    torch.save({name: value for name, value in torch.load(weights).items() if name.startswith("visual.")}, tower)
    with pytest.raises(UMTError, match=r"tower\.pth: holds no text tower"):
        asked(spec_of(tower))


def test_without_a_model_token_a_space_is_not_held_to_the_encoding(tmp_path: Path, weights: Path) -> None:
    path = student(tmp_path, {"backbone": spec_of(weights)}, "interaction.model_token=false")
    assert create_backbone(f"{path}#clip").language is None


def test_a_damaged_recipe_is_named(tmp_path: Path, weights: Path) -> None:
    path = student(tmp_path, {"backbone": spec_of(weights)})
    content = torch.load(path)
    content["provenance"]["recipe"]["teachers"] = [7]
    torch.save(content, path)
    with pytest.raises(UMTError, match=r"ckpt\.pth: field 'provenance.recipe.teachers' is damaged"):
        create_backbone(f"{path}#clip")


def test_a_clip_teacher_of_another_library_has_no_texts(tmp_path: Path) -> None:
    path = student(tmp_path, {"backbone": "timm:vit_base_patch16_clip_224.openai"})
    assert create_backbone(f"{path}#clip").language is None


@pytest.mark.parametrize(
    ("dataset", "named", "spoken"),
    [
        ("imagenet", "n01440764", "tench"),
        ("imagenet", "n15075141", "toilet paper"),
        ("imagenet", "polar_bear", "polar bear"),
        ("aircraft", "737-200", "737-200"),
        ("caltech101", "Faces_easy", "Faces easy"),
        ("cub", "001.Black_footed_Albatross", "Black footed Albatross"),
    ],
)
def test_classes_are_called_as_people_call_them(dataset: str, named: str, spoken: str, tmp_path: Path) -> None:
    info = replace(dataset_info(dataset), class_names=lambda root: [named])
    assert Dataset(info, tmp_path).spoken_names == [spoken]


def test_the_photographs_of_each_class_are_called_by_its_name(real_data: Path) -> None:
    """The names are open_clip's, the ids timm's: both are in one order."""
    folders = sorted(path.name for path in (real_data / "imagenet_1k_samples/val").iterdir())
    info = replace(dataset_info("imagenet"), class_names=lambda root: folders)
    assert Dataset(info, real_data).spoken_names == list(open_clip.IMAGENET_CLASSNAMES)


def test_an_unknown_class_is_named(tmp_path: Path) -> None:
    info = replace(dataset_info("imagenet"), class_names=lambda root: ["n00000001"])
    with pytest.raises(UMTError, match="class folder 'n00000001' is no class of ImageNet-1k"):
        _ = Dataset(info, tmp_path).spoken_names


def test_lists_of_open_clip_are_written_out() -> None:
    written = sentences(["OPENAI_IMAGENET_TEMPLATES", "a bird, {}"])
    assert len(written) == 81
    assert "itap of the {}." in written
    for wrong in ("a photo", "IMAGENET_CLASSNAMES", "MY_TEMPLATES"):
        with pytest.raises(UMTError, match=f"template '{wrong}' has no"):
            sentences([wrong])
