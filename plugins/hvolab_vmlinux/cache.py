"""What was read from a kernel image, kept for the next time.

An entry is one file, named by the digest of the image and the version of the reader: a line of magic, a description in
JSON, and arrays at multiples of 4096 bytes, each with its CRC. It is mapped, not read. An entry that is damaged in any
way is thrown away, and made again by whoever asked.
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

from hvolab_vmlinux.binary import aligned
from hvolab_vmlinux.errors import missing_library
from hvolab_vmlinux.image import KernelImage, Segment, read_only
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.symbols.table import SymbolTable

#: Raised whenever what is kept, or how it is read from an image, changes.
READER_VERSION: Final = 2
#: Names the folder of the cache, instead of the user's own.
CACHE_VARIABLE: Final = "HVOLAB_CACHE_DIR"

_MAGIC: Final = b"hvolab kernel cache\n"
_PAGE: Final = 4096
_LARGEST_DESCRIPTION: Final = 1 << 20


def cache_directory() -> Path:
    """The folder: HVOLAB_CACHE_DIR, or `hvolab` in the user's cache directory, where XDG_CACHE_HOME has its say.

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
    """Where the entry of an image is, or would be."""
    return cache_directory() / "kernels" / f"{digest}-r{READER_VERSION}.kernel"


def load(digest: str) -> Kernel | None:
    """The kernel as it was stored; None where it is not stored, or no longer readable."""
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
    """Store a kernel, whole or not at all; returns why that failed, or an empty string."""
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
    image = kernel.image
    arrays: list[tuple[str, NDArray[Any]]] = [
        (f"segment{index}", one.content) for index, one in enumerate(image.segments)
    ]
    if kernel.table is not None:
        arrays += [("addresses", kernel.table.addresses), ("letters", kernel.table.letters)]
        arrays.append(("by_name", kernel.table.by_name))
        arrays.append(("text", np.frombuffer(kernel.table.text, np.uint8)))
    if kernel.btf is not None and kernel.btf_starts is not None:
        arrays += [("btf", np.frombuffer(kernel.btf, np.uint8)), ("btf_starts", kernel.btf_starts)]
    described: dict[str, list[Any]] = {}
    position = 0
    parts: list[bytes] = []
    for name, array in arrays:
        data = np.ascontiguousarray(array).tobytes()
        described[name] = [array.dtype.str, position, len(data), zlib.crc32(data)]
        padding = aligned(len(data), _PAGE) - len(data)
        parts += [data, bytes(padding)]
        position += len(data) + padding
    description = json.dumps(
        {
            "layers": image.layers,
            "machine": image.machine,
            "release": image.release,
            "base": image.base,
            "entry": image.entry,
            "relocations": image.relocations,
            "segments": [[one.va, one.memory_size, one.physical] for one in image.segments],
            "lacks": kernel.lacks,
            "arrays": described,
        }
    ).encode()
    head = _MAGIC + len(description).to_bytes(8, "little") + zlib.crc32(description).to_bytes(4, "little") + description
    return [head, bytes(aligned(len(head), _PAGE) - len(head)), *parts]


def _decoded(content: mmap.mmap, digest: str) -> Kernel:
    start = len(_MAGIC) + 12
    head = content[:start]
    length = int.from_bytes(head[len(_MAGIC) : -4], "little")
    if head[: len(_MAGIC)] != _MAGIC or length > _LARGEST_DESCRIPTION:
        raise ValueError("no cache entry")
    text = content[start : start + length]
    if zlib.crc32(text) != int.from_bytes(head[-4:], "little"):
        raise ValueError("the description is damaged")
    data = json.loads(text)
    body = memoryview(content)[aligned(start + length, _PAGE) :]

    def array(name: str) -> NDArray[Any]:
        kind, position, size, checksum = data["arrays"][name]
        part = body[position : position + size]
        if len(part) != size or zlib.crc32(part) != checksum:
            raise ValueError(f"{name} is damaged")
        return np.frombuffer(part, np.dtype(kind))

    image = KernelImage(
        digest,
        tuple(data["layers"]),
        data["machine"],
        data["release"],
        data["base"],
        data["entry"],
        tuple(
            Segment(va, read_only(array(f"segment{index}")), memory_size, physical)
            for index, (va, memory_size, physical) in enumerate(data["segments"])
        ),
        data["relocations"],
    )
    table = btf = starts = None
    if "addresses" in data["arrays"]:
        table = SymbolTable(array("addresses"), array("letters"), array("text").tobytes(), array("by_name"))
    if "btf" in data["arrays"]:
        btf, starts = array("btf").tobytes(), array("btf_starts")
    return Kernel(image, table, btf, starts, tuple(data["lacks"]))
