"""Two kinds of names: a name that a person typed may run code, a name out of a file may not.

Names in checkpoints, suites, recipes and results are hub names, installed entry points, or files beside that file.
Their options are those that options.yaml lists.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

from umt.backbones.spec import WEIGHT_SUFFIXES, Spec, parse_spec
from umt.declarations import read_mapping
from umt.errors import TrustError
from umt.files import below
from umt.text import brief

HUB_SCHEMES = ("timm", "open_clip", "pypi", "torchvision")
ANYBODYS = ("hf-hub:", "local-dir:")  # beginnings of timm's names that lead to anybody's weights, as `hf:` does
FETCHING = ("weights", "pretrained", "checkpoint_path")  # options that load other weights than a checkpoint's own
TOWERS = ("vision_cfg", "text_cfg")  # options of open_clip that hold options
OPTIONS = Path(__file__).with_name("options.yaml")
MAX_WORD_CHARACTERS = 60  # characters of a value that is text: the name of an activation, a pooling, a padding

Refused = frozenset[str]
UNPICKLING: Refused = frozenset({"pickle.find_class"})  # events of Python's own audit, see sys.addaudithook
NETWORK: Refused = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"})
_refused: ContextVar[Refused] = ContextVar("refused", default=frozenset())


def runs_code(spec: Spec) -> bool:
    """Return whether building a name imports a module or file: `package.module:factory`, `path.py:factory`, `hub:`."""
    if spec.scheme == "hf":
        return spec.options.get("trust") is True
    return bool(spec.scheme) and spec.scheme not in (*HUB_SCHEMES, "umt")


def refuse_untrusted(spec: Spec) -> None:
    """Raise TrustError if a name would run code, or has an option that a file may not set."""
    if runs_code(spec):
        raise TrustError(
            f"backbone '{spec.text}': '{spec.scheme}' is none of the schemes {', '.join((*HUB_SCHEMES, 'umt'))}, so it "
            "runs code, which only a name on the command line may; for a suite or recipe that you trust add "
            "--trust FILE, in Python pass trusted=True"
        )
    if spec.scheme == "hf" or spec.name.startswith(ANYBODYS):
        raise TrustError(
            f"backbone '{spec.text}': leads to a folder, or to anybody's weights on a hub, which only a name on the "
            "command line may; for a suite or recipe that you trust add --trust FILE, in Python pass trusted=True"
        )
    if spec.scheme in HUB_SCHEMES:
        _refuse_options(spec, spec.options, {*_listed()["common"], *_listed()[spec.scheme]}, "option")
    elif spec.is_file or spec.scheme == "umt":  # either library may have the architecture that is recognised
        _refuse_options(
            spec, spec.options, {*_listed()["common"], *_listed()["timm"], *_listed()["open_clip"]}, "option"
        )


def is_trusted(file: str, trust: Sequence[str]) -> bool:
    """Return whether `--trust` names a suite or recipe, by its name or file."""
    return file in trust or Path(file).resolve() in [Path(trusted_file).resolve() for trusted_file in trust]


def name_from_file(text: str, file: Path, field: str) -> str:
    """Return a backbone's name out of a file, with checkpoints and weights as paths beside that file.

    Raises TrustError if the name would run code, sets an option that is not listed, or leaves the file's folder.
    """
    spec = parse_spec(text)
    try:
        refuse_untrusted(spec)
        if spec.is_file or spec.scheme == "umt":
            return spec.renamed(str(below(file.parent, spec.name))).text
        weights = spec.options.get("weights")
        if spec.scheme == "torchvision" and not str(weights).endswith(WEIGHT_SUFFIXES):
            weights = None  # a name of torchvision, such as IMAGENET1K_V2
        return spec.text if weights is None else spec.with_options(weights=str(below(file.parent, str(weights)))).text
    except TrustError as error:
        raise TrustError(f"{file}: field '{field}': {error}") from error


@contextmanager
def refusing(events: Refused) -> Iterator[None]:
    """Make unpickling in full, or the network, raise TrustError in this thread while the block runs.

    It is the second line of defence: our code asks files for tensors alone, and this holds if another library does not.
    """
    _watch()
    token = _refused.set(_refused.get() | events)
    try:
        yield
    finally:
        _refused.reset(token)


@cache
def _listed() -> Mapping[str, list[str]]:
    return read_mapping(OPTIONS)


def _refuse_options(spec: Spec, options: Mapping[str, Any], allowed: Set[str], kind: str) -> None:
    for name, value in options.items():
        if name not in allowed:
            raise TrustError(
                f"backbone '{spec.text}': {kind} '{name}' is not among those that a name from a file may set; "
                "leave it out, or name the backbone on the command line"
            )
        if name in TOWERS and isinstance(value, Mapping):
            _refuse_options(spec, value, set(_listed()["tower"]), f"{kind} '{name}':")
        elif name != "weights" and not _is_plain(value):
            description = f"{kind} '{name}' is {brief(value)}"
            raise TrustError(f"backbone '{spec.text}': {description}, expected a number, a word or a list of them")


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    if isinstance(value, str):
        return len(value) <= MAX_WORD_CHARACTERS and "/" not in value and ":" not in value
    return value is None or isinstance(value, (bool, int, float))


@cache
def _watch() -> None:
    """Add the hook, which stays for good and does nothing outside of `refusing`."""
    sys.addaudithook(_raise_if_refused)


def _raise_if_refused(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _refused.get():
        about = ".".join(map(str, arguments)) if event in UNPICKLING else event
        raise TrustError(f"a file asks for {about[:100]}, which is not run; save its weights as plain tensors")
