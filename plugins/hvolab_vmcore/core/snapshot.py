"""A core as something to walk: its memory, the kernel's page tables in it, and where the struct pages are."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from hvolab.arch import Architecture, LinearOrigin, PagingMode, Target
from hvolab.errors import CoreFileError, UsageError
from hvolab.machine import PageTables, PhysicalMemory, StructPages
from hvolab.plugin import registry
from hvolab_vmcore.core.elfcore import CoreFile, open_core
from hvolab_vmcore.core.features import seen_features, told_features
from hvolab_vmcore.core.image import load_memory
from hvolab_vmcore.core.kernels import release_of, row_for
from hvolab_vmcore.core.layout import layout_of
from hvolab_vmcore.core.options import SnapshotOptions
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo

_NEEDS = "VMCOREINFO of the core does not tell, so it must be said"


@dataclass(frozen=True, eq=False)
class CoreSnapshot:
    """A core, read.

    core          the file
    target        architecture, mode, features and release of its kernel
    memory        what it holds; frames that it does not hold are absent
    tables        the kernel's own tables, from swapper_pg_dir on
    struct_pages  where struct pages are, and their layout
    vmemmap       VA of the struct page of PFN 0, which may lie below all that is mapped
    region        first VA that the vmemmap may map, and one past the last
    """

    core: CoreFile
    target: Target
    memory: PhysicalMemory
    tables: PageTables
    struct_pages: StructPages
    vmemmap: int
    region: tuple[int, int]

    @property
    def kernel(self) -> str:
        """The kernel's release, empty where the core does not tell."""
        return "" if self.core.vmcoreinfo is None else self.core.vmcoreinfo.osrelease


def open_snapshot(path: str | os.PathLike[str], options: SnapshotOptions | None = None) -> CoreSnapshot:
    """Read the core at ``path``.

    Raises CoreFileError for what cannot be read or has no root table, UsageError for what has to be said by option.
    """
    options = SnapshotOptions() if options is None else options
    core = open_core(path)
    architecture = _architecture(core, options)
    info = core.vmcoreinfo
    mode = _mode(core, architecture, options)
    if info is not None and info.page_size != mode.page_size:
        raise UsageError(
            f"the kernel's pages have {info.page_size} bytes, those of mode {mode.name} {mode.page_size}",
            where=str(core.path),
            hint="leave --mode out, or name a mode of that page size",
        )
    told = options.features or told_features(info, architecture, mode)
    used = architecture.select(mode.name, features=told).mode
    layout = layout_of(info, mode.page_size, where=f"{core.path}, note VMCOREINFO")
    vmemmap = options.vmemmap if options.vmemmap is not None else info.symbol("vmemmap") if info else None
    if vmemmap is None:
        raise _unknown("where the vmemmap is", "SYMBOL(vmemmap)", "--vmemmap VA, of the struct page of PFN 0", core)
    if vmemmap % mode.page_size or not 0 <= vmemmap < 1 << 64:
        raise UsageError(
            f"the vmemmap cannot start at VA {vmemmap:#x}",
            where=str(core.path),
            rule="SYMBOL(vmemmap) or --vmemmap: the struct page of PFN 0 starts a page",
            hint="check --vmemmap; the core may be damaged",
        )
    root = options.root if options.root is not None else _root(core, mode, used)
    if root is None or root % used.levels[0].table_bytes:
        raise _unknown("where the root table is", "SYMBOL(swapper_pg_dir)", "--root PA", core)
    release = options.release or (release_of(info.osrelease, architecture.releases) if info else None)
    memory = load_memory(core, used.page_shift, architecture.byte_order)
    if not memory.holds(root):
        raise CoreFileError(
            f"the root table, at PA {root:#x}, is not in the core",
            where=str(core.path),
            rule="SYMBOL(swapper_pg_dir) of VMCOREINFO, or --root",
            hint="dump again without leaving kernel memory out, or say --root PA",
        )
    first = memory.first_pfn if used.origin is LinearOrigin.RAM else 0
    base = vmemmap + first * layout.size
    region = _region(core, used, vmemmap, layout.size, memory)

    def select(features: tuple[str, ...]) -> Target:
        return architecture.select(
            mode.name, profile=options.profile, release=release, features=features, vmemmap_base=base
        )

    tables = PageTables(memory, select(told), root)
    if not options.features:
        tables = PageTables(memory, select(seen_features(architecture, mode, tables, region, select, told)), root)
    return CoreSnapshot(core, tables.target, memory, tables, StructPages(tables, layout), vmemmap, region)


def with_direct_map(snapshot: CoreSnapshot, base: int) -> CoreSnapshot:
    """The same snapshot for a direct map that starts at VA ``base``."""
    mode = replace(snapshot.target.mode, direct_map_base=base)
    mode.check()
    target = replace(snapshot.target, mode=mode)
    tables = PageTables(snapshot.memory, target, snapshot.tables.root)
    pages = StructPages(tables, snapshot.struct_pages.layout)
    return replace(snapshot, target=target, tables=tables, struct_pages=pages)


def _architecture(core: CoreFile, options: SnapshotOptions) -> Architecture:
    """The architecture that the options name, or whose ELF machine the core has."""
    known = registry()
    if options.arch is not None:
        found = known.architecture(options.arch)
    else:
        matching = [one for one in known.architectures().values() if one.elf_machine == core.machine.name]
        if not matching:
            offered = ", ".join(f"{one.name} ({one.elf_machine})" for one in known.architectures().values()) or "none"
            raise UsageError(
                f"no architecture plugin reads cores of {core.machine.name}",
                where=str(core.path),
                hint=f"install one, or name one with --arch; there are: {offered}",
            )
        found = matching[0]
    if found.byte_order != core.byte_order:
        raise UsageError(
            f"the core is {core.byte_order}-endian, {found.name} is {found.byte_order}-endian",
            where=str(core.path),
            hint="name the right architecture with --arch",
        )
    return found


def _mode(core: CoreFile, architecture: Architecture, options: SnapshotOptions) -> PagingMode:
    """The mode that the options name, or the one whose page size and VA bits the kernel tells."""
    if options.mode is not None:
        return architecture.mode(options.mode)
    info, row = core.vmcoreinfo, row_for(architecture.elf_machine)
    bits = row.va_bits(info) if row is not None and info is not None else None
    if info is None or bits is None:
        names = ", ".join(mode.name for mode in architecture.modes)
        raise _unknown("what the paging mode is", "bits of VA", f"--mode, one of {names}", core)
    for mode in architecture.modes:
        if mode.page_size == info.page_size and bits in {mode.va_bits, mode.levels[0].shift + mode.levels[0].bits}:
            return mode
    raise UsageError(
        f"{architecture.name} has no mode with pages of {info.page_size} bytes and {bits} bits of VA",
        where=str(core.path),
        hint="the modes are " + ", ".join(mode.name for mode in architecture.modes),
    )


def _root(core: CoreFile, laid_out: PagingMode, used: PagingMode) -> int | None:
    """PA of the table that the CPU's walks start with: swapper_pg_dir, as VMCOREINFO tells it, or the end of it.

    It is laid out for one mode; where the CPU uses fewer entries of it, these are the last.
    Kernel: offset_ttbr1 in arch/arm64/include/asm/assembler.h, v6.12.
    """
    info, row = core.vmcoreinfo, row_for(core.machine.name)
    va = None if info is None else info.symbol("swapper_pg_dir")
    root = None if info is None or row is None or va is None else row.root(info, va)
    if root is None or laid_out.levels[0].shift != used.levels[0].shift:
        return root  # with fewer levels the table is that of the level below, whole
    return root + laid_out.levels[0].table_bytes - used.levels[0].table_bytes


def _region(core: CoreFile, mode: PagingMode, vmemmap: int, size: int, memory: PhysicalMemory) -> tuple[int, int]:
    """The VAs that the vmemmap may map: as far as physical memory may reach, and as VMCOREINFO bounds it."""
    info: VmcoreInfo | None = core.vmcoreinfo
    bits = None if info is None else info.number("MAX_PHYSMEM_BITS")
    frames = memory.first_pfn + memory.frames if bits is None else 1 << max(0, min(bits, 64) - mode.page_shift)
    start, end = vmemmap, min(vmemmap + frames * size, 1 << 64)
    if info is not None:
        start = max(start, info.number("VMEMMAP_START") or start)
        end = min(end, info.number("VMEMMAP_END") or end)
    start = max(start, (1 << 64) - (1 << (mode.levels[0].shift + mode.levels[0].bits)))
    if start >= end:
        raise CoreFileError(
            f"the vmemmap from VA {vmemmap:#x} on has no room",
            where=str(core.path),
            rule=f"kernel VAs of mode {mode.name} start at {start:#x}; VMEMMAP_END or MAX_PHYSMEM_BITS bounds it",
            hint="say --vmemmap VA, of the struct page of PFN 0",
        )
    return start, end


def _unknown(what: str, source: str, option: str, core: CoreFile) -> UsageError:
    """The error for something that neither the core nor an option tells."""
    return UsageError(f"it is not told {what}", where=f"{core.path}, {source}", rule=_NEEDS, hint=f"say {option}")
