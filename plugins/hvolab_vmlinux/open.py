"""Opening of a kernel image: from the cache where it was read before, else from the file."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from hvolab_vmlinux import cache
from hvolab_vmlinux.containers.files import map_file
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.reader import read_kernel

#: Limit of a file's size: a vmlinux with all its debugging information has less than half.
LARGEST_FILE: Final = 2 << 30


def open_kernel(path: str | os.PathLike[str], *, use_cache: bool = True) -> Kernel:
    """Read the kernel image at `path`.

    use_cache  load it from the user's cache directory if it is there, else store it there
    Raises KernelImageError for a file that cannot be read, or is not a kernel that hvolab reads.
    """
    begun = time.perf_counter()
    path = Path(path)
    content = _content(path)
    timings: dict[str, float] = {}
    kernel = None
    if use_cache:
        digest = hashlib.sha256(content).hexdigest()
        looked = time.perf_counter()
        kernel = cache.load(digest)
        timings = {"file and digest": looked - begun, "cache": time.perf_counter() - looked}
    if kernel is None:
        kernel = read_kernel(content, str(path))
        timings = dict(kernel.timings)
        if use_cache:
            storing = time.perf_counter()
            problem = cache.store(kernel)
            timings[f"not cached: {problem}" if problem else "store"] = time.perf_counter() - storing
    return replace(kernel, timings={**timings, "total": time.perf_counter() - begun})


def _content(path: Path) -> bytes:
    source = map_file(path, KernelImageError)
    if len(source) > LARGEST_FILE:
        raise KernelImageError(
            f"the file has {len(source)} bytes",
            where=str(path),
            rule=f"hvolab reads images of up to {LARGEST_FILE} bytes",
            hint="remove its debugging information: strip --strip-debug",
        )
    return source[:]
