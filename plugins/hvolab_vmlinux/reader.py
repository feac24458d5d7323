"""From the bytes of a kernel image to its segments, symbols and types. Nothing here is cached."""

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

NO_KALLSYMS: Final = "it has no symbols: no ELF symbol table, and no kallsyms in a layout that is known"
NO_BTF: Final = "it has no type information (BTF): it was built without DEBUG_INFO_BTF"


class _Clock:
    """What each step took."""

    def __init__(self) -> None:
        self.timings: list[Timing] = []

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what is inside."""
        begun = time.perf_counter()
        yield
        self.timings.append(Timing(name, time.perf_counter() - begun))


def read_kernel(content: bytes, where: str) -> Kernel:
    """The kernel in `content`, the bytes of a file.

    Raises KernelImageError for what cannot be read, and for a flat image that does not tell where it is linked.
    """
    clock = _Clock()
    with clock.step("digest"):
        digest = hashlib.sha256(content).hexdigest()
    with clock.step("unpack"):
        unwrapped = unwrap(content, where)
    read = _read_flat if unwrapped.flat is not None else _read_elf
    image, symbols, btf = read(unwrapped, where, clock)
    image = replace(image, digest=digest)
    lacks = []
    if symbols is None:
        lacks.append(NO_KALLSYMS)
    starts: NDArray[np.uint32] | None = None
    with clock.step("btf"):
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
    return Kernel(image, symbols, btf, starts, tuple(lacks), tuple(clock.timings))


def _read_elf(unwrapped: Unwrapped, where: str, clock: _Clock) -> tuple[KernelImage, SymbolTable | None, bytes | None]:
    content = unwrapped.content
    kernel = read_elf(content, where)
    relocations = find_relocations(content, kernel.machine)
    base = min(one.va for one in kernel.segments if not one.per_cpu)
    with clock.step("symbols"):
        symbols = elf_symbols(content, kernel, where)
        if symbols is None:
            symbols = _elf_kallsyms(content, kernel, relocations)
        if symbols is None:
            symbols = symbols_by_vmlinux_to_elf(content)
    memory_size = max(one.end for one in kernel.segments if not one.per_cpu) - base
    check_within(relocations, base, memory_size, where)
    segments = tuple(
        Segment(one.va, read_only(relocations.applied(one.content, one.va)), one.memory_size, one.physical)
        for one in kernel.segments
    )
    section = kernel.section(".BTF")
    btf = None if section is None else section_content(content, section)
    image = KernelImage(
        "", unwrapped.layers, kernel.machine, release_of(content), base, kernel.entry, segments, len(relocations)
    )
    return image, symbols, btf


def _elf_kallsyms(content: bytes, kernel: ElfKernel, relocations: Relocations) -> SymbolTable | None:
    """The kallsyms of a stripped ELF kernel: its segments tell the VA of each byte."""
    found = find_kallsyms(content)
    if found is None:
        return None
    place = found.table_at if found.base_at is None else found.base_at
    va = _va_of(kernel, place)
    if va is None:
        return None
    base = va if found.base is None else found.base or relocations.value_at(va)
    return None if base is None else _table(found, found.addresses(base))


def _va_of(kernel: ElfKernel, offset: int) -> int | None:
    """Link VA of a byte of the file, if a segment has it."""
    for segment, start in zip(kernel.segments, kernel.offsets, strict=True):
        if start <= offset < start + len(segment.content):
            return segment.va + offset - start
    return None


def _read_flat(unwrapped: Unwrapped, where: str, clock: _Clock) -> tuple[KernelImage, SymbolTable | None, bytes | None]:
    content = unwrapped.content
    header = unwrapped.flat
    assert isinstance(header, FlatHeader)  # noqa: S101 - the caller has looked
    relocations = find_relocations(content, header.machine)
    with clock.step("symbols"):
        found = find_kallsyms(content)
        if found is not None:
            base, addresses = link_base(content, header.memory_size, found, relocations, where)
            symbols = _table(found, addresses)
        else:
            base, symbols = _flat_by_fallback(content, where)
    check_within(relocations, base, header.memory_size, where)
    held = read_only(relocations.applied(read_only(content), base))
    image = KernelImage(
        "",
        unwrapped.layers,
        header.machine,
        release_of(content),
        base,
        base,
        (Segment(base, held, header.memory_size),),
        len(relocations),
    )
    return image, symbols, None


def _flat_by_fallback(content: bytes, where: str) -> tuple[int, SymbolTable]:
    symbols = symbols_by_vmlinux_to_elf(content)
    banner = symbols.find("linux_banner") if symbols is not None else None
    base = None if banner is None else base_by_banner(content, banner)
    if symbols is None or base is None:
        raise KernelImageError(
            "the image has no symbols, and its header does not tell where it is linked",
            where=where,
            rule="a flat image is understood through its kallsyms, in a layout that hvolab or vmlinux-to-elf knows",
            hint="name the vmlinux of the same build, which has a symbol table, or install hvolab[kernel-fallback]",
        )
    return base, symbols


def _table(found: Kallsyms, addresses: NDArray[np.uint64]) -> SymbolTable:
    return SymbolTable(addresses, found.names.letters, found.names.text)


def _btf_by_symbols(image: KernelImage, symbols: SymbolTable) -> bytes | None:
    start, stop = symbols.find("__start_BTF"), symbols.find("__stop_BTF")
    if start is None or stop is None or start >= stop:
        return None
    return image.read(start, stop - start)
