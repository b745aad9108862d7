"""Reads an author's checkpoint and runs nothing of it: `python -I unpickle.py FILE FOLDER`.

Run as a file of its own, in a child process under limits, by `models.conversion`; imports nothing
of this project. Of a pickle's classes and functions only those that torch builds tensors with mean
anything here, and even they are this file's own: every other name becomes a `Foreign`, which keeps
the state it is given and does nothing. FOLDER gets `tensors.safetensors`, whose names are numbers,
and `contents.json`: the path of each tensor by number, and the small plain values.

Ends with 0, with 2 and one line on standard error, or with 3 where FOLDER has no room.
"""

import contextlib
import errno
import io
import json
import math
import pickle
import resource
import struct
import sys
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

MAX_PICKLE = 256_000_000  # bytes, of a zip's data.pkl
MAX_NODES = 5_000_000  # values looked at
MAX_DEPTH = 64
MAX_NOTES = 2_000
MEMORY = 1_500_000_000  # of address space, beyond twice the file
SKIPPED = ("optim", "scheduler", "lr_sched", "scaler")  # how entries begin that hold no network
BAD, NO_ROOM = 2, 3  # how it ends
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

# torch's storage classes: safetensors' name of the type, and bytes of a value.
STORAGES = {
    "DoubleStorage": ("F64", 8),
    "FloatStorage": ("F32", 4),
    "HalfStorage": ("F16", 2),
    "BFloat16Storage": ("BF16", 2),
    "LongStorage": ("I64", 8),
    "IntStorage": ("I32", 4),
    "ShortStorage": ("I16", 2),
    "CharStorage": ("I8", 1),
    "ByteStorage": ("U8", 1),
    "BoolStorage": ("BOOL", 1),
}
# What a broken or a hostile pickle can make the standard library raise.
PICKLE_ERRORS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)
FILE_ERRORS = (OSError, RuntimeError, zipfile.BadZipFile, zlib.error)


class BadCheckpointError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Storage:
    """Attributes:
    dtype: safetensors' name.
    item: bytes of a value.
    """

    key: str
    dtype: str
    item: int
    values: int


@dataclass(frozen=True, slots=True)
class Array:
    """A tensor that is still in the file; offset and strides in values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Foreign:
    """Whatever a pickle says that is not ours: takes anything, does nothing."""

    state: Any = None  # of one that was made without `__init__`, as most of protocol 2 are

    def __new__(cls, *_: Any, **__: Any) -> "Foreign":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> "Foreign":
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass

    def extend(self, values: Any) -> None:
        pass

    def add(self, value: Any) -> None:
        pass

    __hash__ = object.__hash__


class _Type:
    """A torch storage class; means something as part of a persistent id only."""

    __slots__ = ("name",)
    name: str

    def __init__(self, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise BadCheckpointError("writes to a class")


class _Maker:
    """One of torch's functions for making tensors. Has no attributes that a pickle could set."""

    __slots__ = ("_make",)
    _make: Callable[..., Any]

    def __init__(self, make: Callable[..., Any]) -> None:
        object.__setattr__(self, "_make", make)

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setattr__(self, name: str, value: Any) -> None:
        raise BadCheckpointError("writes to a function")


def _array(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> Array:
    sizes = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(
        type(size) is int and 0 <= size < 2**48 for size in sizes
    ):
        raise BadCheckpointError("has a tensor without a shape or a storage")
    if len(shape) != len(strides) or len(shape) > 16:
        raise BadCheckpointError("has a tensor of an impossible shape")
    array = Array(storage, offset, tuple(shape), tuple(strides))
    last = offset + sum((size - 1) * step for size, step in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= storage.values:
        raise BadCheckpointError("has a tensor that reaches beyond its storage")
    return array


def _parameter(array: Any, *_: Any) -> Any:
    return array


MAKERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "Size"): _Maker(tuple),
    ("torch._utils", "_rebuild_tensor"): _Maker(_array),
    ("torch._utils", "_rebuild_tensor_v2"): _Maker(_array),
    ("torch._utils", "_rebuild_parameter"): _Maker(_parameter),
    ("torch._utils", "_rebuild_parameter_with_state"): _Maker(_parameter),
}


class Reader(pickle.Unpickler):
    """An unpickler to which nothing outside this file exists."""

    def __init__(self, file: BinaryIO | io.BytesIO) -> None:
        # Python 2 wrote some of the older files.
        super().__init__(file, encoding="utf-8", errors="replace")
        self._foreign: dict[tuple[str, str], type[Foreign]] = {}
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        found = MAKERS.get((module, name))
        if found is not None:
            return found
        if module in ("torch", "torch.storage") and name in STORAGES:
            return _Type(name)
        wanted = (module, name)
        if wanted not in self._foreign:
            self._foreign[wanted] = type("Foreign", (Foreign,), {"origin": f"{module}.{name}"})
        return self._foreign[wanted]

    def persistent_load(self, pid: Any) -> Storage:
        kind, storage_type, key, _, values = pid[:5]
        if kind != "storage" or not isinstance(storage_type, _Type):
            raise BadCheckpointError("refers to something that is no storage")
        if len(pid) > 5 and pid[5] is not None:
            raise BadCheckpointError("has views of storages, which no published file has")
        if type(values) is not int or values < 0:
            raise BadCheckpointError("has a storage without a size")
        dtype, item = STORAGES[storage_type.name]
        return self.storages.setdefault(str(key), Storage(str(key), dtype, item, values))


class Source:
    """A checkpoint's contents, and the bytes of its storages by key."""

    def __init__(self, root: Any, read: Callable[[Storage], bytes]) -> None:
        self.root = root
        self.read = read


def open_zip(file: zipfile.ZipFile) -> Source:
    """The form that `torch.save` has written since version 1.6."""
    names = {info.filename: info for info in file.infolist()}
    pickles = [name for name in names if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise BadCheckpointError("is a zip, but torch.save has not written it")
    prefix = pickles[0].removesuffix("data.pkl")

    def member(name: str, at_most: int) -> bytes:
        info = names.get(prefix + name)
        if info is None:
            raise BadCheckpointError(f"has no {name}")
        if info.compress_type != zipfile.ZIP_STORED:
            raise BadCheckpointError(f"has {name} compressed, which torch.save never does")
        if info.file_size > at_most:
            raise BadCheckpointError(f"has {info.file_size} bytes of {name}, expected {at_most}")
        return file.read(info)

    if prefix + "byteorder" in names and member("byteorder", 16).strip() != b"little":
        raise BadCheckpointError("was written on a big-endian machine")
    reader = Reader(io.BytesIO(member("data.pkl", MAX_PICKLE)))
    return Source(reader.load(), lambda it: member(f"data/{it.key}", it.values * it.item))


def open_legacy(file: BinaryIO) -> Source:
    """The form before: five pickles, then all storages."""
    if Reader(file).load() != LEGACY_MAGIC or Reader(file).load() != LEGACY_PROTOCOL:
        raise BadCheckpointError("is no file of torch.save")
    Reader(file).load()  # sizes of the writer's machine
    reader = Reader(file)
    root = reader.load()
    keys = Reader(file).load()
    places: dict[str, int] = {}
    for key in keys:
        storage = reader.storages[str(key)]
        (values,) = struct.unpack("<q", file.read(8))
        if values != storage.values:
            raise BadCheckpointError(f"has {values} values in a storage of {storage.values}")
        places[storage.key] = file.tell()
        file.seek(values * storage.item, io.SEEK_CUR)

    def read(storage: Storage) -> bytes:
        file.seek(places[storage.key])
        return file.read(storage.values * storage.item)

    return Source(root, read)


def walk(root: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every tensor and plain value with its path; a dict or list that is met twice, once."""
    seen: set[int] = set()
    pending: list[tuple[tuple[str, ...], Any]] = [((), root)]
    nodes = 0
    while pending:
        path, value = pending.pop()
        if isinstance(value, Foreign):
            value = value.state
        nodes += 1
        if nodes > MAX_NODES:
            raise BadCheckpointError(f"has more than {MAX_NODES} values")
        if not isinstance(value, (dict, list, tuple)):
            yield path, value
            continue
        if id(value) in seen or len(path) >= MAX_DEPTH:
            continue
        seen.add(id(value))
        entries = value.items() if isinstance(value, dict) else enumerate(value)
        children = [
            ((*path, str(key)), child)
            for key, child in entries
            if isinstance(key, (str, int)) and not (not path and _is_skipped(str(key)))
        ]
        pending.extend(reversed(children))


def _is_skipped(key: str) -> bool:
    return key.lower().startswith(SKIPPED)


def write(source: Source, folder: Path, at_most: int) -> None:
    """Both files. `at_most` bounds the bytes of tensors: shared ones are written out."""
    arrays: list[Array] = []
    contents: dict[str, list[Any]] = {"tensors": [], "notes": []}
    for path, value in walk(source.root):
        if isinstance(value, Array):
            arrays.append(value)
            contents["tensors"].append(path)
        elif isinstance(value, (bool, int, float, str)) and len(contents["notes"]) < MAX_NOTES:
            if (isinstance(value, str) and len(value) > 1_000) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                continue
            if isinstance(value, int) and abs(value) >= 2**63:
                continue
            contents["notes"].append((path, value))
    header: dict[str, Any] = {}
    end = 0
    for number, array in enumerate(arrays):
        size = math.prod(array.shape) * array.storage.item
        header[str(number)] = {
            "dtype": array.storage.dtype,
            "shape": array.shape,
            "data_offsets": (end, end + size),
        }
        end += size
    if end > at_most:
        raise BadCheckpointError(f"has tensors of {end} bytes in a file that has not half of that")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "tensors.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        last, data = None, b""
        for array in arrays:
            if array.storage is not last:  # neighbours often are views of one
                data = b""
                last, data = array.storage, source.read(array.storage)
            file.write(_values(array, data))
    (folder / "contents.json").write_text(json.dumps(contents), "utf-8")


def _values(array: Array, data: bytes) -> bytes:
    """The tensor's values in the order of its indices."""
    import numpy as np

    item, expected = array.storage.item, array.storage.values * array.storage.item
    if len(data) != expected:
        raise BadCheckpointError(f"has {len(data)} bytes of a storage of {expected}")
    if not math.prod(array.shape):
        return b""
    view = np.ndarray(
        array.shape,
        dtype=f"V{item}",
        buffer=data,
        offset=array.offset * item,
        strides=[step * item for step in array.strides],
    )
    return np.ascontiguousarray(view).tobytes()


def convert(path: Path, folder: Path) -> None:
    """Raises BadCheckpointError, or OSError where there is no room."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            if zipfile.is_zipfile(file):
                file.seek(0)
                with zipfile.ZipFile(file) as archive:
                    write(open_zip(archive), folder, 2 * size + 1_000_000)
            else:
                file.seek(0)
                if file.read(2) == b"PK":
                    raise BadCheckpointError("is a zip that has been cut off")
                file.seek(0)
                write(open_legacy(file), folder, 2 * size + 1_000_000)
    except PICKLE_ERRORS as error:
        raise BadCheckpointError(f"cannot be read: {type(error).__name__}: {error}") from None
    except FILE_ERRORS as error:
        if _is_no_room(error):
            raise
        raise BadCheckpointError(f"cannot be read: {error}") from None


def _is_no_room(error: Exception) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def limit(size: int) -> None:
    """Of this process from now on; what is already lower stays."""
    bounds = {
        resource.RLIMIT_AS: MEMORY + 2 * size,
        resource.RLIMIT_FSIZE: 3 * size + 64_000_000,
        resource.RLIMIT_CORE: 0,
    }
    for kind, bound in bounds.items():
        _, hard = resource.getrlimit(kind)
        lowest = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        # Not every system bounds the address space; the parent's time limit holds on all.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (lowest, lowest))


def main() -> int:
    path, folder = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        limit(path.stat().st_size)
        convert(path, folder)
    except (BadCheckpointError, OSError) as error:
        sys.stderr.write(" ".join(str(error).split())[:500] + "\n")
        return NO_ROOM if _is_no_room(error) else BAD
    return 0


if __name__ == "__main__":
    sys.exit(main())
