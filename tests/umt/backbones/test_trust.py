"""Names that came out of files run no code, set no option that names a file or an address, and stay in their place."""

from __future__ import annotations

import os
import pickle
import socket
from contextlib import suppress
from pathlib import Path
from threading import Thread

import open_clip
import pytest
import timm
import torch

from umt.backbones import Backbone, backbone_factory, create_backbone
from umt.backbones.contract import is_factory
from umt.backbones.spec import parse_spec
from umt.backbones.trust import NETWORK, UNPICKLING, is_trusted, name_from_file, refuse_untrusted, refusing
from umt.errors import TrustError, UMTError


@pytest.mark.parametrize(
    "text",
    ["os:system?command=true", "subprocess:call", "evil.py:build", "/elsewhere/evil.py:build", "hub:/elsewhere/entry"],
)
def test_code_is_refused_by_default(text: str, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"runs code, which only a name on the command line may"):
        create_backbone(text)
    with pytest.raises(TrustError, match=r"suite\.yaml: field 'example': backbone '.*--trust FILE"):
        name_from_file(text, tmp_path / "suite.yaml", "example")


@pytest.mark.parametrize("text", ["timm:local-dir:/x", "hf-hub:a/b", "hf:a/b", "hf:/x", "hf:a/b?trust=true"])
def test_weights_of_anybody_are_refused_by_default(text: str, tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"which only a name on the command line may"):
        create_backbone(text)
    with pytest.raises(TrustError, match=r"suite\.yaml: field 'example': backbone '.*--trust FILE"):
        name_from_file(text, tmp_path / "suite.yaml", "example")


def test_weights_of_torchvision_may_have_their_own_names(tmp_path: Path) -> None:
    file = tmp_path / "suite.yaml"
    assert name_from_file("torchvision:vit_b_16?weights=DEFAULT", file, "f") == "torchvision:vit_b_16?weights=DEFAULT"
    with pytest.raises(TrustError, match="lies outside"):
        name_from_file("torchvision:vit_b_16?weights=/etc/x.pth", file, "f")


@pytest.mark.parametrize("scheme", ["timm:test_resnet", "pypi:tf_efficientnet_lite0", "open_clip:RN50"])
@pytest.mark.parametrize(
    "option",
    [
        "checkpoint_path=/x.pth", "pretrained_cfg={file: /x.pth}", "pretrained_cfg_overlay={file: /x.pth}",
        "cache_dir=/x", "pretrained_image_path=/x", "pretrained_text_path=/x", "weights_only=false",
        "load_weights=true", "timm_model_name=x", "model_name=x", "trusted=true",
    ],
)  # fmt: skip
def test_options_that_are_not_listed_are_refused(scheme: str, option: str) -> None:
    with pytest.raises(TrustError, match=rf"option '{option.partition('=')[0]}' is not among those"):
        create_backbone(f"{scheme}?pretrained=false&{option}")


@pytest.mark.parametrize("inner", ["timm_model_name", "hf_model_name", "hf_tokenizer_name", "tokenizer_kwargs"])
@pytest.mark.parametrize("tower", ["vision_cfg", "text_cfg"])
def test_towers_are_listed_too(tower: str, inner: str) -> None:
    with pytest.raises(TrustError, match=f"option '{tower}': '{inner}' is not among those"):
        refuse_untrusted(parse_spec(f"open_clip:RN50?{tower}={{{inner}: x}}"))


@pytest.mark.parametrize("value", ["{a: 1}", "hf-hub:a/b", "/etc/passwd", "[{a: 1}]", "x" * 61])
def test_values_are_numbers_and_words(value: str) -> None:
    spec = parse_spec("timm:test_vit").with_options(act_layer=parse_spec(f"timm:a?b={value}").options["b"])
    with pytest.raises(TrustError, match="expected a number, a word or a list of them"):
        refuse_untrusted(spec)


def test_what_shipped_names_and_checkpoints_hold_is_admitted(tmp_path: Path) -> None:
    for text in (
        "timm:test_vit?pretrained=false&depth=2&mean=0.5&std=[0.1, 0.2, 0.3]&size=96",
        "timm:vit_small_patch14_dinov2?img_size=518",
        "timm:mobilenetv2_100?pad_type=same&bn_eps=0.001&mean=0.5&std=0.5",
        "open_clip:ViT-B-16/openai?vision_cfg={layers: 1, width: 32}&text_cfg={layers: 1}",
        "an-installed-plug-in?anything=/x",
    ):
        refuse_untrusted(parse_spec(text))
        assert name_from_file(text, tmp_path / "recipe.yaml", "student") == text


def test_a_person_may_set_any_option(tmp_path: Path) -> None:
    assert create_backbone("timm:test_resnet?pretrained=false&in_chans=3", trusted=True).dim > 0
    with pytest.raises(TrustError):
        create_backbone("timm:test_resnet?pretrained=false&in_chans=3")


def test_files_are_those_beside_the_file_that_names_them(tmp_path: Path) -> None:
    recipe, place = tmp_path / "in" / "recipe.yaml", (tmp_path / "in").resolve()
    place.mkdir()
    (place / "link.pth").symlink_to(tmp_path / "outside.pth")
    assert name_from_file("a.pth#dino", recipe, "x") == f"{place}/a.pth#dino"
    assert name_from_file("umt:a.pth?depth=2", recipe, "x") == f"umt:{place}/a.pth?depth=2"
    assert f'weights="{place}/b.pth"' in name_from_file("timm:resnet50?weights=b.pth", recipe, "x")
    for text in ("../a.pth", "/etc/a.pth", "umt:../a.pth", "timm:resnet50?weights=../b.pth", "link.pth"):
        with pytest.raises(TrustError, match=r"recipe\.yaml: field 'x': .*lies outside"):
            name_from_file(text, recipe, "x")


def test_trust_is_of_a_file_however_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_trusted("mini", ["mini"])
    assert is_trusted("a.yaml", [str(tmp_path / "a.yaml")])
    assert not is_trusted("a.yaml", ["b.yaml"])


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.marker),)


def test_unpickling_in_full_raises_in_the_block_alone(tmp_path: Path) -> None:
    evil = pickle.dumps(Evil(tmp_path / "made"))
    torch.save({"x": Evil(tmp_path / "made")}, tmp_path / "evil.pt")
    with refusing(UNPICKLING):
        for read in (lambda: pickle.loads(evil), lambda: torch.load(tmp_path / "evil.pt", weights_only=False)):
            with pytest.raises(TrustError, match=r"asks for (nt|posix)\.mkdir, which is not run"):
                read()
        assert not (tmp_path / "made").exists()
        torch.save({"x": torch.ones(1)}, tmp_path / "weights.pt")
        assert torch.load(tmp_path / "weights.pt", weights_only=True)["x"] == 1
    pickle.loads(evil)
    assert (tmp_path / "made").exists()


def test_the_network_raises_in_the_block_and_in_this_thread_alone() -> None:
    def look_up() -> None:
        socket.getaddrinfo("localhost", 80)

    with refusing(NETWORK):
        with pytest.raises(TrustError, match=r"asks for socket\.getaddrinfo"):
            look_up()
        other = Thread(target=look_up)
        other.start()
        other.join()
    look_up()


def test_timm_and_open_clip_unpickle_nothing_even_where_they_are_asked_to(tmp_path: Path) -> None:
    """A person's own name, with the options by which these libraries would read a second file."""
    file = tmp_path / "evil.pt"
    torch.save({"state_dict": {"x": Evil(tmp_path / "made")}}, file)
    image = f"pretrained_image_path={file}&weights_only=false"
    for text in (
        f"open_clip:RN50?pretrained=false&{image}",
        f"timm:test_resnet?pretrained=false&checkpoint_path={file}",
    ):
        with suppress(UMTError):  # open_clip logs the error and goes on with random weights
            create_backbone(text, trusted=True)
    assert not (tmp_path / "made").exists()


def test_open_clip_would_have_run_it(tmp_path: Path) -> None:
    """That nothing runs would be no news if it could not."""
    torch.save({"state_dict": {"x": Evil(tmp_path / "made")}}, tmp_path / "evil.pt")
    with suppress(Exception):
        open_clip.create_model("RN50", pretrained_image_path=str(tmp_path / "evil.pt"), weights_only=False)
    assert (tmp_path / "made").exists()


def annotated(width: int = 8) -> Backbone:
    raise NotImplementedError


class Mine(Backbone):
    """A class of backbones."""


def of_a_class() -> Mine:
    raise NotImplementedError


@backbone_factory
def marked(width=8):
    raise NotImplementedError


def unmarked():
    raise NotImplementedError


def test_factories_are_marked() -> None:
    assert all(map(is_factory, (annotated, marked, of_a_class, Mine, Backbone)))
    assert not any(map(is_factory, (unmarked, os.system, eval, Path, timm.create_model, 3, None, "Backbone")))


def test_a_name_that_a_person_typed_runs_marked_factories_alone(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="'system' is not marked as a factory of backbones; decorate it"):
        create_backbone(f"os:system?command=touch {tmp_path}/made", trusted=True)
    assert not (tmp_path / "made").exists()
