"""Building a model of another library: a hub that nobody answers for is found out at once, and no code is unpickled."""

from __future__ import annotations

import pickle
import socket
import time

import pytest
from huggingface_hub import constants

from umt.backbones import create_backbone
from umt.backbones.adapters import building as module
from umt.backbones.adapters import torchvision_adapter
from umt.backbones.adapters.building import answers, building
from umt.errors import BackboneError, SpecError, TrustError, WeightsError


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> str:
    """Address of a hub whose machine takes connections from nobody."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"https://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(torchvision_adapter, "HUB", address)
    return address


def test_a_host_answers_or_does_not(silent: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert answers(f"https://127.0.0.1:{server.getsockname()[1]}")
    assert not answers(silent)


def test_a_name_that_is_looked_up_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(socket, "create_connection", lambda *given, **options: time.sleep(2))
    started = time.perf_counter()
    assert not answers("https://hub.example.com")
    assert time.perf_counter() - started < 1


def test_a_proxy_stands_for_the_host(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert answers("https://hub.example.com")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("timm:resnet18", r"pass them as timm:resnet18\?weights=FILE"),
        ("timm:hf-hub:someone/model", "pass them as"),
        ("open_clip:ViT-B-32/openai", r"pass them as open_clip:ViT-B-32/openai\?weights=FILE"),
        ("torchvision:resnet34?weights=DEFAULT", r"pass them as torchvision:resnet34\?weights=FILE"),
        ("hf:someone/model", "name its folder: hf:FOLDER"),
    ],
)
def test_a_hub_that_cannot_be_reached_is_one_line_at_once(
    silent: str, tmp_path, monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    if name.startswith("hf:"):
        pytest.importorskip("transformers", reason="it comes with umt-bench[hf]")
    with pytest.raises((WeightsError, SpecError), match=f"127.0.0.1 cannot be reached.*{remedy}"):
        create_backbone(name, trusted=True)


def test_it_takes_seconds_at_most(silent: str) -> None:
    create_backbone("timm:test_resnet?pretrained=false")  # imports are over
    started = time.perf_counter()
    with pytest.raises(WeightsError):
        create_backbone("timm:resnet18")
    assert time.perf_counter() - started < 5


def test_offline_is_given_back(silent: str) -> None:
    with pytest.raises(WeightsError), building("x", {}, hub=silent):
        assert constants.HF_HUB_OFFLINE
        socket.create_connection(("127.0.0.1", 1))
    assert not constants.HF_HUB_OFFLINE


def test_errors_are_one_line_and_ours_stay() -> None:
    with pytest.raises(BackboneError, match=r"x: first \(with options \{'a': 1\}\)$"), building("x", {"a": 1}):
        raise ValueError("first\nsecond")
    with pytest.raises(SpecError, match="ours"), building("x", {}):
        raise SpecError("ours")


def test_nothing_is_unpickled_in_full() -> None:
    with pytest.raises(TrustError, match="which is not run"), building("x", {}):
        pickle.loads(pickle.dumps(SpecError))
