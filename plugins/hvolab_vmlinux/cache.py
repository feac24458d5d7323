# SPDX-License-Identifier: GPL-2.0-only
"""Cache of kernels that were read, in the user's cache directory.

An entry is one file, named by the image's digest and the version of the reader: a description in JSON, arrays, and the
CRC of all that. It is mapped, not read. A damaged entry is removed, and the image is read again.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hvolab.arithmetic import WORD_BYTES, round_up
from hvolab.user_cache import cache_directory
from hvolab_vmlinux.image import KernelImage, Segment
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.symbols.table import SymbolTable
from hvolab_vmlinux.types.index import TypeIndex

#: Incremented whenever the content of an entry changes, or the reading of an image.
READER_VERSION: Final = 5

#: Fields of an image in the description.
_FIELDS: Final = ("layers", "machine", "release", "entry", "relocations")


def entry_path(digest: str) -> Path:
    """Return the path of an image's entry."""
    return cache_directory() / "kernels" / f"{digest}-r{READER_VERSION}.kernel"


def load(digest: str) -> Kernel | None:
    """Return the stored kernel; None where it is not stored, or damaged."""
    path = entry_path(digest)
    try:
        content = np.asarray(np.memmap(path, np.uint8, "r"))
    except (OSError, ValueError):  # ValueError: an empty file
        return None
    body, checksum = content[:-WORD_BYTES], content[-WORD_BYTES:]
    if len(body) and zlib.crc32(body.data) == int.from_bytes(checksum.tobytes(), "little"):
        return _decoded(body, digest)
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
            checksum = 0
            for part in _encoded(kernel):
                file.write(part)
                checksum = zlib.crc32(part, checksum)
            file.write(checksum.to_bytes(WORD_BYTES, "little"))
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


def _encoded(kernel: Kernel) -> Iterator[bytes]:
    """Yield the size of the description, the description, and the arrays, each at a multiple of 8 bytes."""
    image, table, btf = kernel.image, kernel.table, kernel.btf
    arrays: dict[str, NDArray[Any]] = {f"segment{index}": one.content for index, one in enumerate(image.segments)}
    if table is not None:
        arrays |= {"addresses": table.addresses, "letters": table.letters, "by_name": table.by_name}
        arrays["names"] = np.frombuffer(table.text, np.uint8)
    if btf is not None:
        arrays |= {"words": btf.words, "starts": btf.starts, "by_string": btf.by_string}
        arrays["strings"] = np.frombuffer(btf.strings, np.uint8)
    description = {name: getattr(image, name) for name in _FIELDS}
    description["segments"] = [[one.va, one.memory_size] for one in image.segments]
    description["lacks"] = kernel.lacks
    description["arrays"] = [[name, array.dtype.str, array.nbytes] for name, array in arrays.items()]
    text = json.dumps(description).encode()
    parts = (len(text).to_bytes(WORD_BYTES, "little"), text, *(array.tobytes() for array in arrays.values()))
    return (part.ljust(round_up(len(part), WORD_BYTES), b"\0") for part in parts)


def _decoded(content: NDArray[np.uint8], digest: str) -> Kernel:
    position = WORD_BYTES

    def part(size: int) -> NDArray[np.uint8]:
        nonlocal position
        start = position
        position += round_up(size, WORD_BYTES)
        return content[start : start + size]

    data = json.loads(part(int(content[:WORD_BYTES].view("<u8")[0])).tobytes())
    arrays = {name: part(size).view(kind) for name, kind, size in data["arrays"]}
    segments = tuple(Segment(va, arrays[f"segment{index}"], size) for index, (va, size) in enumerate(data["segments"]))
    described = {name: data[name] for name in _FIELDS} | {"layers": tuple(data["layers"])}
    table = btf = None
    if "names" in arrays:
        table = SymbolTable(arrays["addresses"], arrays["letters"], arrays["names"].tobytes(), arrays["by_name"])
    if "words" in arrays:
        btf = TypeIndex(arrays["words"], arrays["starts"], arrays["strings"].tobytes(), arrays["by_string"])
    return Kernel(KernelImage(digest, segments=segments, **described), table, btf, tuple(data["lacks"]))
