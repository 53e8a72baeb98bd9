"""Tensors and plain values out of any pickle, while no code of it runs: unknown objects become inert stand-ins."""

from __future__ import annotations

import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import IO, Any

import torch
from torch import Tensor, UntypedStorage

MAX_PICKLE_BYTES = 1 << 28  # bytes of the pickle beside the tensors: optimisers of large models have some megabytes
REFUSED_MODULES = frozenset(
    ("os", "posix", "nt", "sys", "subprocess", "shutil", "socket", "runpy", "importlib", "ctypes", "multiprocessing")
)
REFUSED_BUILTINS = frozenset(("eval", "exec", "compile", "open", "__import__"))
MEMO = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": torch.uint8,
}
Bytes = Callable[[str, int], UntypedStorage]  # the storage of a key, of so many bytes


class StandIn:
    """An inert object in the place of one whose class a file names: it keeps its arguments, state and entries."""

    kind = ""  # the name of the class
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    state: Any
    entries: dict[Any, Any]
    values: list[Any]

    def __new__(cls, *arguments: Any, **keywords: Any) -> StandIn:
        stand_in = super().__new__(cls)
        stand_in.arguments, stand_in.keywords = arguments, keywords
        stand_in.state, stand_in.entries, stand_in.values = None, {}, []
        return stand_in

    def __init__(self, *_: Any, **__: Any) -> None:
        """Take any arguments: __new__ has kept them, and a pickle may leave __init__ out."""

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        self.entries[key] = value

    def __call__(self, *arguments: Any, **keywords: Any) -> StandIn:
        return self

    def append(self, value: Any) -> None:
        self.values.append(value)

    def extend(self, values: Any) -> None:
        self.values.extend(values)

    add = append
    update = __setstate__

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes that the object would have had, as far as the file says."""
        state = self.state[0] if isinstance(self.state, tuple) and self.state else self.state
        return {**self.keywords, **self.entries, **(state if isinstance(state, Mapping) else {})}


class Maker:
    """A function that a pickle may call; a BUILD cannot change it, because it has no attributes to set."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it changes a function")

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)


class InertUnpickler(pickle.Unpickler):
    """An unpickler that makes tensors, plain values and stand-ins, and nothing else."""

    def __init__(self, file: IO[bytes], content: Bytes) -> None:
        super().__init__(file, encoding="utf-8", errors="replace")
        self._content = content
        self._stand_ins: dict[str, type[StandIn]] = {}

    def find_class(self, module: str, name: str) -> Any:
        root = module.partition(".")[0]
        if root in REFUSED_MODULES or (root in ("builtins", "__builtin__") and name in REFUSED_BUILTINS):
            raise pickle.UnpicklingError(f"it calls for {module}.{name}"[:100])
        if (module, name) in MAKERS:
            return MAKERS[module, name]
        if root == "torch" and name in STORAGES:
            return STORAGES[name]
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return self._stand_ins.setdefault(f"{module}.{name}", type("StandIn", (StandIn,), {"kind": f"{module}.{name}"}))

    def persistent_load(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] not in ("storage", b"storage"):
            raise pickle.UnpicklingError("it refers to an object outside the file")
        _, kind, key, _, count = pid[:5]
        if not isinstance(kind, torch.dtype) or type(count) is not int or count < 0:
            raise pickle.UnpicklingError("its storages have no type or no size")
        return Stored(self._content(str(key), count * kind.itemsize), kind)


class Stored:
    """The bytes of tensors, and the type of their numbers."""

    __slots__ = ("dtype", "storage")
    dtype: torch.dtype
    storage: UntypedStorage

    def __init__(self, storage: UntypedStorage, dtype: torch.dtype) -> None:
        object.__setattr__(self, "storage", storage)
        object.__setattr__(self, "dtype", dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        raise pickle.UnpicklingError("it changes a storage")


def unpickle(file: IO[bytes], storages: Bytes) -> Any:
    """Return the value of the pickle that begins here, and stand behind it; an error of any kind if it is damaged."""
    start = file.tell()
    end = _checked_end(file)
    file.seek(start)
    value = InertUnpickler(BytesIO(file.read(end - start)), storages).load()
    file.seek(end)
    return value


def _checked_end(file: IO[bytes]) -> int:
    """Return where a pickle ends; ValueError if it numbers its objects beyond their count.

    Python makes room for the largest number, which a few bytes can set to four thousand millions.
    """
    start, end = file.tell(), 0
    for count, (operation, argument, position) in enumerate(pickletools.genops(file)):
        if operation.name in MEMO and int(argument or 0) > count:
            raise ValueError("its pickle numbers more objects than it can hold")
        if operation.name.startswith("EXT"):
            raise ValueError("its pickle names objects by extension codes")
        end = (position or 0) + 1
        if end - start > MAX_PICKLE_BYTES:
            raise ValueError(f"its pickle has more than {MAX_PICKLE_BYTES:,} bytes")
    return end


def _tensor(stored: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    """Return a view of a storage; UnpicklingError if it reaches beyond the storage, or repeats its numbers."""
    if not isinstance(stored, Stored):
        raise pickle.UnpicklingError("a tensor has no storage")
    return view(stored.storage, stored.dtype, offset, tuple(size), tuple(stride))


def view(
    storage: UntypedStorage, dtype: torch.dtype, offset: int, size: tuple[int, ...], stride: tuple[int, ...]
) -> Tensor:
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or not all(type(number) is int and number >= 0 for number in numbers):
        raise pickle.UnpicklingError("a tensor has an invalid size")
    elements, count = storage.nbytes() // dtype.itemsize, 1
    for side in size:
        count *= side
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if count and (count > elements or last >= elements):
        raise pickle.UnpicklingError("a tensor reaches beyond its storage")
    tensor = torch.empty(0, dtype=dtype)
    return tensor if not count and size == (0,) else tensor.set_(storage, offset, size, stride)


def _typed(stored: Any, offset: int, size: Any, stride: Any, grad: Any, hooks: Any, dtype: Any, *_: Any) -> Tensor:
    if not isinstance(stored, Stored) or not isinstance(dtype, torch.dtype):
        raise pickle.UnpicklingError("a tensor has no storage")
    return view(stored.storage, dtype, offset, tuple(size), tuple(stride))


def _first(value: Any = None, *_: Any) -> Any:
    return value


def _of_type(make: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """Return a tensor of a class that torch does not know, as the plain tensor inside."""
    return make(*arguments) if isinstance(make, Maker) else None


MAKERS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): Maker(lambda *size: torch.Size(*size)),
    ("torch", "device"): Maker(lambda *name: str(name)),
    ("torch._utils", "_rebuild_tensor"): Maker(_tensor),
    ("torch._utils", "_rebuild_tensor_v2"): Maker(_tensor),
    ("torch._utils", "_rebuild_tensor_v3"): Maker(_typed),
    ("torch._utils", "_rebuild_parameter"): Maker(_first),
    ("torch._utils", "_rebuild_parameter_with_state"): Maker(_first),
    ("torch._tensor", "_rebuild_from_type_v2"): Maker(_of_type),
    ("torch.storage", "TypedStorage"): Maker(_first),
    ("torch.storage", "UntypedStorage"): torch.uint8,
    ("__builtin__", "set"): Maker(list),
    ("builtins", "set"): Maker(list),
}
