"""Protocols: typed, inherited, hashed; every mistake in a file is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.suite.protocols import load_protocol, protocol_names
from benchmarks.suite.suite import load_suite, suite_names
from benchmarks.tasks.registry import BUILT_IN, get_task
from umt.data.registry import dataset_info
from umt.errors import UMTError


@dataclass(frozen=True)
class Settings:
    epochs: int
    lr: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    augment: str | None = None
    frozen: bool = True


def write(folder: Path, name: str, text: str) -> None:
    path = folder / "task" / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text("about: test\n" + text)


def test_values_are_typed(tmp_path: Path) -> None:
    write(tmp_path, "paper", "version: 2\nepochs: 10\nlr: 1\nbetas: [0.9, 0.95]")
    protocol = load_protocol("task", "paper", Settings, tmp_path)
    assert protocol.settings == Settings(10, 1.0, (0.9, 0.95))
    assert isinstance(protocol.settings.lr, float)
    assert protocol.version == 2


def test_a_protocol_extends_another(tmp_path: Path) -> None:
    write(tmp_path, "paper", "version: 1\nepochs: 10\nlr: 0.5\nfootnote: theirs")
    write(tmp_path, "mini", "version: 1\nextends: paper\nepochs: 1")
    protocol = load_protocol("task", "mini", Settings, tmp_path)
    assert protocol.settings == Settings(1, 0.5)
    assert protocol.footnote is None, "a footnote belongs to the protocol that wrote it"


def test_a_protocol_extends_one_of_another_task(tmp_path: Path) -> None:
    write(tmp_path, "paper", "version: 1\nepochs: 10\nlr: 0.5")
    (tmp_path / "reader").mkdir()
    (tmp_path / "reader" / "paper.yaml").write_text("version: 2\nabout: a\nextends: task/paper\nlr: 0.25\n")
    protocol = load_protocol("reader", "paper", Settings, tmp_path)
    assert (protocol.settings, protocol.version) == (Settings(10, 0.25), 2)
    (tmp_path / "reader" / "wrong.yaml").write_text("version: 2\nabout: a\nextends: task/papr\n")
    with pytest.raises(UMTError, match=r"unknown protocol for task 'papr'\. Did you mean paper\?"):
        load_protocol("reader", "wrong", Settings, tmp_path)


def test_hash_follows_settings_alone(tmp_path: Path) -> None:
    write(tmp_path, "a", "version: 1\nepochs: 10")
    write(tmp_path, "b", "version: 1\nepochs: 10\nfrozen: true\nfootnote: other words")
    write(tmp_path, "c", "version: 1\nepochs: 11")
    write(tmp_path, "d", "version: 2\nepochs: 10")
    write(tmp_path, "e", "version: 1\nepochs: 10\nlr: 0.5")
    first, same, *others = (load_protocol("task", name, Settings, tmp_path).hash for name in "abcde")
    assert first == same
    assert len({first, *others}) == 4


def test_a_new_setting_with_a_default_keeps_the_hash(tmp_path: Path) -> None:
    """A result stays valid if the task learns something that its protocol does not use."""

    @dataclass(frozen=True)
    class Later(Settings):
        later: int = 7

    write(tmp_path, "a", "version: 1\nepochs: 10\nlr: 0.1")
    write(tmp_path, "b", "version: 1\nepochs: 10\nlr: 0.1\nlater: 8")
    before, after, changed = (
        load_protocol("task", name, settings, tmp_path).hash
        for name, settings in (("a", Settings), ("a", Later), ("b", Later))
    )
    assert before == after
    assert changed != before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 1\nepochs: 10\nlearning_rate: 1", "unknown field 'learning_rate'"),
        ("version: 1\nepoch: 10", "Did you mean epochs?"),
        ("version: 1", "field 'epochs' is missing"),
        ("version: 1\nepochs: ten", "field 'epochs' is 'ten', expected int"),
        ("version: 1\nepochs: true", "field 'epochs' is True, expected int"),
        ("version: 1\nepochs: 1\nfrozen: 1", "field 'frozen' is 1, expected bool"),
        ("version: 1\nepochs: [", "not valid YAML"),
        ("epochs: 1", "field 'version' is missing"),
        (
            "version: 1\nepochs: 1\ndraw: 30",
            "a draw is a variant of the data set, caltech101?draw=published in the suite",
        ),
        ("version: 1\nextends: papr\nepochs: 1", "unknown protocol for task 'papr'"),
        ("version: 1\nextends: bad\nepochs: 1", "leads back to the protocol itself"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "bad", text)
    with pytest.raises(UMTError) as caught:
        load_protocol("task", "bad", Settings, tmp_path)
    assert message in str(caught.value)


@pytest.mark.parametrize("task_name", BUILT_IN)
def test_every_shipped_protocol_fits_its_task(task_name: str) -> None:
    task = get_task(task_name)
    names = protocol_names(task_name)
    assert {"paper", "mini"} <= set(names)
    hashes = {load_protocol(task_name, name, task.settings).hash for name in names}
    assert len(hashes) == len(names)


@pytest.mark.parametrize("suite_name", suite_names())
def test_every_shipped_suite_names_what_exists(suite_name: str) -> None:
    for column in load_suite(suite_name).measured:
        task = get_task(column.task)
        load_protocol(task.name, column.protocol, task.settings)
        assert dataset_info(column.dataset).kind in task.kinds
        assert column.metric in {metric.name for metric in task.metrics}


def test_a_field_by_its_former_name_is_read_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("version: 1\nabout: test\nextends: paper\nbatch: 8\ndevice_batch: 4\n")
    with pytest.warns(FutureWarning, match=r"mine\.yaml: field 'device_batch' is now 'bn_batch' for task 'ade20k_lin"):
        protocol = load_protocol("ade20k_linear", str(path), get_task("ade20k_linear").settings)
    assert protocol.settings.bn_batch == 4
