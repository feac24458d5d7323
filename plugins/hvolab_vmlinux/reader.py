"""Reader of a kernel image: from the bytes of a file to segments, symbols and types, without the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab.errors import HvolabError
from hvolab_vmlinux.containers.unwrap import FlatHeader, Unwrapped, unwrap
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.formats.elf import ElfKernel, elf_symbols, read_elf, section_content
from hvolab_vmlinux.formats.link_address import base_by_banner, link_base, release_of
from hvolab_vmlinux.formats.relocations import Relocations, check_within, find_relocations
from hvolab_vmlinux.image import KernelImage, Segment, read_only
from hvolab_vmlinux.kernel import Kernel, Timing
from hvolab_vmlinux.symbols.fallback import symbols_by_vmlinux_to_elf
from hvolab_vmlinux.symbols.kallsyms import Kallsyms, find_kallsyms
from hvolab_vmlinux.symbols.table import SymbolTable
from hvolab_vmlinux.types.index import read_index

NO_KALLSYMS: Final = "it has no symbols: no ELF symbol table, and no kallsyms in a known layout"
NO_BTF: Final = "it has no type information (BTF): it was built without DEBUG_INFO_BTF"
#: An image, its symbols, and its type information as far as the file's headers name it.
_Parts = tuple[KernelImage, SymbolTable | None, bytes | None]


def read_kernel(content: bytes, where: str) -> Kernel:
    """Read the kernel in `content`, the bytes of a file.

    Raises KernelImageError for an unreadable image, and for a flat image whose link address is unknown.
    """
    timings: list[Timing] = []
    with _timed(timings, "digest"):
        digest = hashlib.sha256(content).hexdigest()
    with _timed(timings, "unpack"):
        unwrapped = unwrap(content, where)
    with _timed(timings, "segments and symbols"):
        flat = unwrapped.flat
        parts = _read_elf(unwrapped, digest, where) if flat is None else _read_flat(unwrapped, flat, digest, where)
    image, symbols, btf = parts
    lacks = [] if symbols else [NO_KALLSYMS]
    starts: NDArray[np.uint32] | None = None
    with _timed(timings, "btf"):
        if symbols is not None and btf is None:
            btf = _btf_by_symbols(image, symbols)
        if btf is None:
            lacks.append(NO_BTF)
        else:
            try:
                starts = read_index(btf).starts
            except HvolabError as error:
                btf = None
                lacks.append(f"its type information cannot be read: {error.what}")
    return Kernel(image, symbols, btf, starts, tuple(lacks), tuple(timings))


@contextmanager
def _timed(timings: list[Timing], step: str) -> Iterator[None]:
    begun = time.perf_counter()
    yield
    timings.append(Timing(step, time.perf_counter() - begun))


def _read_elf(unwrapped: Unwrapped, digest: str, where: str) -> _Parts:
    content = unwrapped.content
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
    base = min(one.va for one in segments if not one.per_cpu)
    image = _image(unwrapped, digest, kernel.machine, base, kernel.entry, segments, relocations, where)
    section = kernel.section(".BTF")
    return image, symbols, None if section is None else section_content(content, section)


def _elf_kallsyms(content: bytes, kernel: ElfKernel, relocations: Relocations) -> SymbolTable | None:
    """Return the kallsyms of a stripped ELF kernel, whose segments have the VA of each byte."""
    found = find_kallsyms(content)
    if found is None:
        return None
    va = kernel.va_of(found.table_at if found.base_at is None else found.base_at)
    if va is None:
        return None
    base = va if found.base is None else found.base or relocations.value_at(va)
    return None if base is None else _table(found, found.addresses(base))


def _read_flat(unwrapped: Unwrapped, header: FlatHeader, digest: str, where: str) -> _Parts:
    content = unwrapped.content
    relocations = find_relocations(content, header.machine)
    found = find_kallsyms(content)
    if found is None:
        base, symbols = _flat_by_fallback(content, where)
    else:
        base, addresses = link_base(content, header.memory_size, found, relocations, where)
        symbols = _table(found, addresses)
    segment = Segment(base, read_only(relocations.applied(read_only(content), base)), header.memory_size)
    image = _image(unwrapped, digest, header.machine, base, base, (segment,), relocations, where)
    return image, symbols, None


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


def _image(
    unwrapped: Unwrapped,
    digest: str,
    machine: str,
    base: int,
    entry: int,
    segments: tuple[Segment, ...],
    relocations: Relocations,
    where: str,
) -> KernelImage:
    release = release_of(unwrapped.content)
    image = KernelImage(digest, unwrapped.layers, machine, release, base, entry, segments, len(relocations))
    check_within(relocations, base, image.memory_size, where)
    return image


def _table(found: Kallsyms, addresses: NDArray[np.uint64]) -> SymbolTable:
    return SymbolTable(addresses, found.names.letters, found.names.text)


def _btf_by_symbols(image: KernelImage, symbols: SymbolTable) -> bytes | None:
    start, stop = symbols.find("__start_BTF"), symbols.find("__stop_BTF")
    if start is None or stop is None or start >= stop:
        return None
    return image.read(start, stop - start)
