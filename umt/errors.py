"""The errors that a user can mend: a kind for each sort of mistake, with a code that docs/troubleshooting.md explains.

A kind is a class with nothing but a code, so that it survives where only the type and the text of an error do: between
the processes of a data loader, of a run and of torchrun.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar

from umt.text import printable

PAGE = "docs/troubleshooting.md"


class UMTError(Exception):
    """An error that names file or field, the value found and the remedy in one line; plug-ins alone raise it as such.

    Commands print it without a traceback, with its code, and exit with status 2.
    """

    code: ClassVar[str] = "UMT-PLUGIN"

    def __str__(self) -> str:
        """Return the line; names out of files from anywhere cannot break it, nor write to the terminal."""
        return printable(super().__str__())

    @property
    def coded(self) -> str:
        """The line with its code."""
        return f"{self} [{self.code}]"


class UnknownNameError(UMTError):
    """A name is not known: of a task, data set, recipe, model, field."""

    code = "UMT-NAME"


class OptionError(UMTError):
    """An option or argument is missing, malformed, or does not go with the others."""

    code = "UMT-OPTION"


class DeclarationError(UMTError):
    """A recipe, protocol or suite has a field that is missing or holds a value that it cannot."""

    code = "UMT-FIELD"


class SizeError(UMTError):
    """A batch, resolution or width is not the multiple that it must be, or shapes do not belong together."""

    code = "UMT-SIZE"


class SpecError(UMTError):
    """The name of a backbone cannot be understood."""

    code = "UMT-SPEC"


class BackboneError(UMTError):
    """A model is not supported, or a backbone breaks the contract."""

    code = "UMT-BACKBONE"


class WeightsError(UMTError):
    """A weight file or checkpoint cannot be read, is refused, or does not fit the model."""

    code = "UMT-WEIGHTS"


class TrustError(UMTError):
    """A file from outside names code, a place or an address that such a file may not choose."""

    code = "UMT-TRUST"


class MissingFileError(UMTError):
    """A file or folder that was named is not there."""

    code = "UMT-MISSING"


class LayoutError(UMTError):
    """A data set is not there, incomplete, or not in its official layout."""

    code = "UMT-LAYOUT"


class AbsentError(LayoutError):
    """A folder of a data set is not there."""


class DataError(UMTError):
    """An image, annotation or label is damaged, or contradicts the rest of its data set."""

    code = "UMT-DATA"


class SourceError(UMTError):
    """An archive or download, of which a data set is to be made, cannot be used."""

    code = "UMT-SOURCE"


class TooFewError(UMTError):
    """There are fewer, or less different, images than the method needs."""

    code = "UMT-FEW"


class CacheError(UMTError):
    """A cache of teachers' targets is not there, incomplete, damaged, or made for something else."""

    code = "UMT-CACHE"


class ResultError(UMTError):
    """A stored result cannot be read, or no stored result matches the request."""

    code = "UMT-RESULT"


class WriteError(UMTError):
    """A file cannot be written: no room, no permission, or other data in its place."""

    code = "UMT-WRITE"


class ChangedError(UMTError):
    """Files of an earlier start belong to other weights, another protocol or another recipe."""

    code = "UMT-CHANGED"


class NotFiniteError(UMTError):
    """Features, a loss or a metric became NaN or infinite."""

    code = "UMT-NAN"


class PackageError(UMTError):
    """An optional package is not installed."""

    code = "UMT-PACKAGE"


class DeviceError(UMTError):
    """The device, or the processes that torchrun or Slurm started, are not as they must be."""

    code = "UMT-DEVICE"


class ProcessError(UMTError):
    """A process that was started for the work ended without finishing it."""

    code = "UMT-PROCESS"


ALL: tuple[type[UMTError], ...] = (UMTError, *UMTError.__subclasses__())
KINDS = {kind.__name__: kind for kind in ALL}


def first_line(error: BaseException) -> str:
    """Return the first line of an error of a library, or the type of the error if it has no text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:100]


def unknown_name(kind: str, name: str, known: Iterable[str], *, listing: str | None = None) -> UnknownNameError:
    """Return an error for a name that is not registered: close matches first, then the known names.

    `listing` is the command that prints all known names, used when they are too many for a line.
    """
    names = sorted(known)
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    guess = f" Did you mean {' or '.join(close)}?" if close else ""
    shown = f" Known: {', '.join(names)}." if len(names) <= 30 else ""
    hint = f" `{listing}` lists them." if listing else ""
    return UnknownNameError(f"unknown {kind} '{name}'.{guess}{shown}{hint}")
