"""The text that names a backbone: `[scheme:]name[?option=value&...][#head]`; an existing file wins over this syntax."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from umt.declarations import scalar
from umt.errors import OptionError, SpecError, UMTError
from umt.text import brief

WEIGHT_SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".tar", ".npz", ".index.json")
SCHEMES = ("timm", "open_clip", "pypi", "torchvision", "hf", "hub", "umt")  # what follows may hold colons
OF_TIMM = ("hf-hub", "local-dir")  # timm's own sources, with or without `timm:` before them
PATHS = ("weights", "checkpoint_path")  # options that name a file


@dataclass(frozen=True)
class Spec:
    """A parsed backbone name; `scheme` is empty for checkpoints and entry points."""

    text: str
    scheme: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    head: str | None = None

    @property
    def is_file(self) -> bool:
        """True if the name is a checkpoint file or folder, not a registered name."""
        return not self.scheme and (self.name.endswith(WEIGHT_SUFFIXES) or _is_file(self.name) or _is_folder(self.name))

    def with_options(self, /, **options: Any) -> Spec:
        """Return the same name with more options, which win over its own options."""
        merged = {**self.options, **options}
        query = "&".join(f"{key}={json.dumps(value, default=str)}" for key, value in merged.items())
        text = self._body + (f"?{query}" if query else "") + (f"#{self.head}" if self.head else "")
        return replace(self, text=text, options=merged)

    def without(self, option: str) -> Spec:
        """Return the same spec, and the same text, without an option that a loader need not know."""
        return replace(self, options={key: value for key, value in self.options.items() if key != option})

    def renamed(self, name: str) -> Spec:
        """Return the same spec for another file."""
        scheme = f"{self.scheme}:" if self.scheme else ""
        return replace(self, text=f"{scheme}{name}{self.text.removeprefix(self._body)}", name=name)

    @property
    def _body(self) -> str:
        """The text without options and head."""
        path, syntax = _existing(self.text)
        return self.text.removesuffix(syntax) if path else self.text.partition("#")[0].partition("?")[0]


def parse_spec(text: str) -> Spec:
    """Split a backbone name into its parts; option values are read as YAML scalars (numbers, true, lists)."""
    text = text.strip()
    path, syntax = _existing(text)
    if path:
        rest, _, head = syntax.partition("#")
        return Spec(text, "", path, _options(text, rest.removeprefix("?")), head or None)
    body, _, head = text.partition("#")
    body, _, query = body.partition("?")
    scheme, name = _scheme_and_name(body)
    if not name:
        raise SpecError(
            f"backbone '{text}' names nothing; write e.g. timm:resnet50, ckpt.pth or my_package.module:factory"
        )
    return Spec(text, scheme, name, _options(text, query), head or None)


def refuse_unset(spec: Spec) -> None:
    """Raise UMTError for an option that is null, which libraries leave out, and for a `pretrained` like 0."""
    unset = next(_nulls(spec.options), None)
    if unset:
        raise SpecError(f"backbone '{spec.text}': option '{unset}' is null, which sets nothing; leave it out")
    if not isinstance(spec.options.get("pretrained", True), bool):
        raise SpecError(f"backbone '{spec.text}': pretrained is true or false, not {brief(spec.options['pretrained'])}")


def _nulls(options: Mapping[str, Any]) -> Iterator[str]:
    """Return the names of options without a value, also of options inside options: `vision_cfg: layers`."""
    for name, value in options.items():
        if value is None:
            yield name
        if isinstance(value, Mapping):
            yield from (f"{name}: {inner}" for inner in _nulls(value))


def _existing(text: str) -> tuple[str, str]:
    """Return the longest beginning of a name that is a path, its `~` expanded, and the rest; empty if there is none."""
    for end in [len(text), *(index for index in range(len(text) - 1, 0, -1) if text[index] in "?#")]:
        path = _expanded(text[:end])
        if _is_file(path) or _is_folder(path):
            return path, text[end:]
    return "", text


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long, or with a character that no path has
        return False


def _is_folder(path: str) -> bool:
    """Return True for a folder whose name cannot be an entry point: `model/`, `runs/model`."""
    try:
        return "/" in path and Path(path).is_dir()
    except (OSError, ValueError):
        return False


def _expanded(path: str) -> str:
    try:
        return str(Path(path).expanduser()) if path.startswith("~") else path
    except RuntimeError:  # there is no such user
        return path


def _scheme_and_name(body: str) -> tuple[str, str]:
    head, colon, rest = body.partition(":")
    if colon and head in SCHEMES:
        folder, source, path = rest.partition(":")
        return head, f"{folder}:{_expanded(path)}" if source else _expanded(rest)
    if colon and head in OF_TIMM:
        return "timm", f"{head}:{_expanded(rest)}"
    if body.endswith(WEIGHT_SUFFIXES):
        return "", _expanded(body)
    scheme, _, name = body.rpartition(":")
    return _expanded(scheme), name if scheme else _expanded(name)


def _options(text: str, query: str) -> dict[str, Any]:
    pairs = [pair.partition("=") for pair in query.split("&")] if query else []
    if not all(key and equals for key, equals, _ in pairs):
        raise SpecError(f"backbone '{text}': options '{query}' are not key=value pairs joined by '&'")
    values = {key: _value(text, value) for key, _, value in pairs}
    return {
        key: _expanded(value) if key in PATHS and isinstance(value, str) else value for key, value in values.items()
    }


def _value(text: str, value: str) -> Any:
    try:
        return scalar(value)
    except UMTError as error:
        raise SpecError(f"backbone '{text}': option {error}") from error


@dataclass(frozen=True)
class BackboneName:
    """The label of a row, and the name that `create_backbone` takes."""

    label: str
    spec: str
    trusted: bool = False  # true if a person typed it, so that it may run code


def read_name(text: str, *, trusted: bool = False) -> BackboneName:
    """Read `LABEL=SPEC`; without a label, shorten the spec to the part that tells models apart."""
    label, _, rest = text.partition("=")
    if rest and _is_label(label, rest) and not _existing(text)[0]:
        return BackboneName(label.strip(), rest.strip(), trusted)
    spec = parse_spec(text)
    name = Path(spec.name).stem if spec.is_file else spec.name
    options = ", ".join(f"{key}={value}" for key, value in spec.options.items() if key != "weights")
    return BackboneName(
        name + (f"#{spec.head}" if spec.head else "") + (f" ({options})" if options else ""), text, trusted
    )


def _is_label(label: str, rest: str) -> bool:
    """Tell a label, as in `ViT-B/16=timm:...`, from `timm:...?pretrained=false` and `runs/lr=1e-4/ckpt.pth`."""
    if any(mark in label for mark in ":?#"):
        return False
    return "/" not in label or ":" in rest or _is_file(parse_spec(rest).name)


def refuse_namesakes(names: Sequence[BackboneName]) -> None:
    """Raise UMTError if two backbones have the same label."""
    labels = [name.label for name in names]
    for label in labels:
        if labels.count(label) > 1:
            raise OptionError(f"two backbones have the label '{label}'; give one another: LABEL=SPEC")


def told_apart(names: Sequence[BackboneName]) -> tuple[BackboneName, ...]:
    """Give files that have one name the labels of their folders: `a/student` and `b/student`.

    Labels that somebody has chosen stay as they are.
    """
    return tuple(_told_apart(name, [namesake for namesake in names if namesake.label == name.label]) for name in names)


def _told_apart(name: BackboneName, namesakes: Sequence[BackboneName]) -> BackboneName:
    if len(namesakes) == 1 or not all(map(_path, namesakes)):
        return name
    for suffixed in (False, True):
        own_parts, *other_parts = [_parts(member, suffixed) for member in (name, *namesakes)]
        for count in range(1, len(own_parts) + 1):
            if [path[-count:] for path in other_parts].count(own_parts[-count:]) == 1:
                return _relabelled(name, "/".join(own_parts[-count:]))
    return name


def _relabelled(name: BackboneName, path: str) -> BackboneName:
    spec = parse_spec(name.spec)
    stem = Path(spec.name).stem
    return replace(name, label=path + name.label.removeprefix(stem) if spec.is_file else f"{name.label} ({path})")


def _parts(name: BackboneName, suffixed: bool) -> tuple[str, ...]:
    path = Path(_path(name)).absolute()
    return path.parts if suffixed else path.with_suffix("").parts


def _path(name: BackboneName) -> str:
    """Return the path that a name leads to; empty if it has none, or if somebody has chosen the label."""
    spec = parse_spec(name.spec)
    path = spec.name if spec.is_file else spec.options.get("weights")
    return path if isinstance(path, str) and read_name(name.spec).label == name.label else ""
