"""Cache of kernels that were read, in the user's cache directory.

An entry is one file, named by the image's digest and the version of the reader: a line of magic, a description in JSON,
and arrays at multiples of 4096 bytes, each with its CRC. It is mapped, not read. A damaged entry is removed, and the
image is read again.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import tempfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hvolab.arithmetic import round_up
from hvolab_vmlinux.errors import missing_library
from hvolab_vmlinux.image import KernelImage, Segment, read_only
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.symbols.table import SymbolTable

#: Incremented whenever the content of an entry changes, or the reading of an image.
READER_VERSION: Final = 2
#: Environment variable with the folder of the cache, instead of the user's own.
CACHE_VARIABLE: Final = "HVOLAB_CACHE_DIR"

_MAGIC: Final = b"hvolab kernel cache\n"
_PAGE: Final = 4096
_LARGEST_DESCRIPTION: Final = 1 << 20
#: Fields of an image in the description.
_FIELDS: Final = ("layers", "machine", "release", "base", "entry", "relocations")


def cache_directory() -> Path:
    """Return the folder: HVOLAB_CACHE_DIR, or `hvolab` in the user's cache directory (XDG_CACHE_HOME).

    Raises HvolabError where the package platformdirs is not installed.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    try:
        from platformdirs import user_cache_path  # noqa: PLC0415 - optional
    except ImportError as error:
        raise missing_library("platformdirs", "finding the user's cache directory") from error
    return Path(user_cache_path("hvolab"))


def entry_path(digest: str) -> Path:
    """Return the path of an image's entry."""
    return cache_directory() / "kernels" / f"{digest}-r{READER_VERSION}.kernel"


def load(digest: str) -> Kernel | None:
    """Return the stored kernel; None where it is not stored, or damaged."""
    path = entry_path(digest)
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None
    try:
        return _decoded(content, digest)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError):  # JSON's and Unicode's errors are ValueErrors
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def store(kernel: Kernel) -> str:
    """Store a kernel, whole or not at all; return the reason of a failure, or an empty string."""
    path = entry_path(kernel.image.digest)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f"{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            for part in _encoded(kernel):
                file.write(part)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        return str(error)
    for other in path.parent.glob(f"{kernel.image.digest}-r*.kernel"):
        if other != path:  # of another version of the reader
            with contextlib.suppress(OSError):
                other.unlink()
    return ""


def _encoded(kernel: Kernel) -> list[bytes]:
    image, table = kernel.image, kernel.table
    arrays: dict[str, NDArray[Any]] = {f"segment{index}": one.content for index, one in enumerate(image.segments)}
    if table is not None:
        arrays |= {"addresses": table.addresses, "letters": table.letters, "by_name": table.by_name}
        arrays["text"] = np.frombuffer(table.text, np.uint8)
    if kernel.btf is not None and kernel.btf_starts is not None:
        arrays |= {"btf": np.frombuffer(kernel.btf, np.uint8), "btf_starts": kernel.btf_starts}
    described: dict[str, list[Any]] = {}
    position = 0
    parts: list[bytes] = []
    for name, array in arrays.items():
        content = array.tobytes()
        described[name] = [array.dtype.str, position, len(content), zlib.crc32(content)]
        parts.append(_padded(content))
        position += len(parts[-1])
    segments = [[one.va, one.memory_size, one.physical] for one in image.segments]
    data = {name: getattr(image, name) for name in _FIELDS}
    text = json.dumps({**data, "segments": segments, "lacks": kernel.lacks, "arrays": described}).encode()
    head = _MAGIC + len(text).to_bytes(8, "little") + zlib.crc32(text).to_bytes(4, "little") + text
    return [_padded(head), *parts]


def _padded(data: bytes) -> bytes:
    return data.ljust(round_up(len(data), _PAGE), b"\0")


def _decoded(content: mmap.mmap, digest: str) -> Kernel:
    start = len(_MAGIC) + 12
    head = content[:start]
    length = int.from_bytes(head[len(_MAGIC) : -4], "little")
    if head[: len(_MAGIC)] != _MAGIC or length > _LARGEST_DESCRIPTION:
        raise ValueError("not a cache entry")
    text = content[start : start + length]
    if zlib.crc32(text) != int.from_bytes(head[-4:], "little"):
        raise ValueError("the description is damaged")
    data = json.loads(text)
    body = memoryview(content)[round_up(start + length, _PAGE) :]

    def array(name: str) -> NDArray[Any]:
        kind, position, size, checksum = data["arrays"][name]
        part = body[position : position + size]
        if len(part) != size or zlib.crc32(part) != checksum:
            raise ValueError(f"{name} is damaged")
        return np.frombuffer(part, np.dtype(kind))

    segments = tuple(
        Segment(va, read_only(array(f"segment{index}")), memory_size, physical)
        for index, (va, memory_size, physical) in enumerate(data["segments"])
    )
    described = {name: data[name] for name in _FIELDS} | {"layers": tuple(data["layers"])}
    table = btf = starts = None
    if "addresses" in data["arrays"]:
        table = SymbolTable(array("addresses"), array("letters"), array("text").tobytes(), array("by_name"))
    if "btf" in data["arrays"]:
        btf, starts = array("btf").tobytes(), array("btf_starts")
    return Kernel(KernelImage(digest, segments=segments, **described), table, btf, starts, tuple(data["lacks"]))
