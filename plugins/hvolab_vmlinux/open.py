# SPDX-License-Identifier: GPL-2.0-only
"""Opening of a kernel image: from the cache, else from the bytes of a file to segments, symbols and types."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from hvolab.errors import HvolabError
from hvolab_vmlinux import cache
from hvolab_vmlinux.containers.files import map_file
from hvolab_vmlinux.containers.unwrap import ELF_MAGIC, FlatHeader, unwrap
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.formats.elf import ELF_HEADER_BYTES, ElfKernel, elf_machine, elf_symbols, read_elf, section_content
from hvolab_vmlinux.formats.link_address import base_by_banner, link_base, release_of
from hvolab_vmlinux.formats.relocations import Relocations, check_within, find_relocations
from hvolab_vmlinux.image import KernelImage, Segment, read_only
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.symbols.fallback import symbols_by_vmlinux_to_elf
from hvolab_vmlinux.symbols.kallsyms import find_kallsyms
from hvolab_vmlinux.symbols.table import SymbolTable
from hvolab_vmlinux.types.index import read_index

#: Limit of a file's size: a vmlinux with all its debugging information has less than half.
LARGEST_FILE: Final = 2 << 30
NO_KALLSYMS: Final = "it has no symbols: no ELF symbol table, and no kallsyms in a known layout"
NO_BTF: Final = "it has no type information (BTF): it was built without DEBUG_INFO_BTF"


class _Parts(NamedTuple):
    """Contents of an image; the type information as far as the file's headers name it."""

    machine: str
    entry: int
    segments: tuple[Segment, ...]
    relocations: Relocations
    symbols: SymbolTable | None
    btf: bytes | None


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


def vmlinux_machine(path: str | os.PathLike[str]) -> str | None:
    """Return the ELF machine of a vmlinux, of which only the file's header is read; None for an image of another kind.

    Raises KernelImageError for a file that cannot be opened, and for an ELF file that is not a kernel.
    """
    with map_file(Path(path), KernelImageError) as content:
        is_elf = content[: len(ELF_MAGIC)] == ELF_MAGIC
        return elf_machine(content[:ELF_HEADER_BYTES], str(path)) if is_elf else None


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


def read_kernel(content: bytes, where: str) -> Kernel:
    """Read the kernel in `content`, the bytes of a file.

    Raises KernelImageError for an unreadable image, and for a flat image whose link address is unknown.
    """
    timings: dict[str, float] = {}
    with _timed(timings, "digest"):
        digest = hashlib.sha256(content).hexdigest()
    with _timed(timings, "unpack"):
        bare, layers, flat = unwrap(content, where)
    with _timed(timings, "segments and symbols"):
        machine, entry, segments, relocations, symbols, section = (
            _read_elf(bare, where) if flat is None else _read_flat(bare, flat, where)
        )
        image = KernelImage(digest, layers, machine, release_of(bare), entry, segments, len(relocations))
        check_within(relocations, image.base, image.memory_size, where)
    lacks = [] if symbols else [NO_KALLSYMS]
    btf = None
    with _timed(timings, "btf"):
        found = _btf_by_symbols(image, symbols) if section is None and symbols is not None else section
        if found is None:
            lacks.append(NO_BTF)
        else:
            try:
                btf = read_index(found)
            except HvolabError as error:
                lacks.append(f"its type information cannot be read: {error.what}")
    return Kernel(image, symbols, btf, tuple(lacks), timings)


@contextmanager
def _timed(timings: dict[str, float], step: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    timings[step] = time.perf_counter() - begun


def _read_elf(content: bytes, where: str) -> _Parts:
    kernel = read_elf(content, where)
    relocations = find_relocations(content, kernel.machine)
    symbols = (
        elf_symbols(content, kernel, where)
        or _elf_kallsyms(content, kernel, relocations)
        or symbols_by_vmlinux_to_elf(content)
    )
    segments = tuple(
        replace(one, content=read_only(relocations.applied(one.content, one.va))) for one in kernel.segments
    )
    section = kernel.section(".BTF")
    btf = None if section is None else section_content(content, section)
    return _Parts(kernel.machine, kernel.entry, segments, relocations, symbols, btf)


def _elf_kallsyms(content: bytes, kernel: ElfKernel, relocations: Relocations) -> SymbolTable | None:
    """Return the kallsyms of a stripped ELF kernel, whose segments have the VA of each byte."""
    found = find_kallsyms(content)
    if found is None:
        return None
    va = kernel.va_of(found.table_at if found.base_at is None else found.base_at)
    if va is None:
        return None
    base = va if found.base is None else found.base or relocations.value_at(va)
    return None if base is None else found.symbols(base)


def _read_flat(content: bytes, header: FlatHeader, where: str) -> _Parts:
    relocations = find_relocations(content, header.machine)
    found = find_kallsyms(content)
    if found is None:
        base, symbols = _flat_by_fallback(content, where)
    else:
        base, symbols = link_base(content, header.memory_size, found, relocations, where)
    segment = Segment(base, read_only(relocations.applied(read_only(content), base)), header.memory_size)
    return _Parts(header.machine, base, (segment,), relocations, symbols, None)


def _flat_by_fallback(content: bytes, where: str) -> tuple[int, SymbolTable]:
    symbols = symbols_by_vmlinux_to_elf(content)
    banner = symbols.find("linux_banner") if symbols is not None else None
    base = None if banner is None else base_by_banner(content, banner)
    if symbols is None or base is None:
        raise KernelImageError(
            "cannot determine the link address of the image: it has no symbols, and its header does not have it",
            where=where,
            rule="a flat image needs kallsyms in a layout that hvolab or vmlinux-to-elf knows",
            hint="name the vmlinux of the same build, which has a symbol table, or install hvolab[kernel-fallback]",
        )
    return base, symbols


def _btf_by_symbols(image: KernelImage, symbols: SymbolTable) -> bytes | None:
    start, stop = symbols.find("__start_BTF"), symbols.find("__stop_BTF")
    if start is None or stop is None or start >= stop:
        return None
    return image.read(start, stop - start)
