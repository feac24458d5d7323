# SPDX-License-Identifier: GPL-2.0-only
"""Snapshot of a kernel in a core: its memory, its page tables, and its struct pages."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hvolab.arch import Architecture, LinearOrigin, PagingMode, Target
from hvolab.errors import CoreFileError, UsageError
from hvolab.machine import FrameState, PageTables, PhysicalMemory, StructPages
from hvolab.plugin import registry
from hvolab.release import KernelRelease
from hvolab_vmcore.core.cpu_state import cpu_state_of
from hvolab_vmcore.core.features import detected_features, reported_features
from hvolab_vmcore.core.kernel_note import with_found_text, with_text_of
from hvolab_vmcore.core.kernels import keys_for, machine_of
from hvolab_vmcore.core.layout import layout_of
from hvolab_vmcore.core.memory import memory_of
from hvolab_vmcore.core.releases import ReleaseChoice, choose, noted_evidence, targets_of
from hvolab_vmcore.core.vmemmap import vmemmap_of
from hvolab_vmcore.files.dump import UNUSABLE, Dump
from hvolab_vmcore.files.open import open_dump


@dataclass(frozen=True)
class SnapshotOptions:
    """Values to use in place of those in the core; ``None`` and empty: those in the core.

    arch, mode        names
    root              PA of the root table
    vmemmap           VA of the struct page of PFN 0
    features          names; if any is given, no feature is detected
    profile, release  names
    vmcoreinfo        file with the text of VMCOREINFO
    memory_map        file with a map of memory that has no header
    image             image of the dump's kernel, for what VMCOREINFO lacks
    """

    arch: str | None = None
    mode: str | None = None
    root: int | None = None
    vmemmap: int | None = None
    features: tuple[str, ...] = ()
    profile: str | None = None
    release: str | None = None
    vmcoreinfo: Path | None = None
    memory_map: Path | None = None
    image: Path | None = None


@dataclass(frozen=True, eq=False)
class CoreSnapshot:
    """Contents of a core.

    core          the file
    target        architecture, mode, features and release of its kernel
    memory        physical memory; frames that the core does not hold are absent
    tables        the kernel's own page tables, from swapper_pg_dir on
    struct_pages  the struct pages, with their layout
    choice        the release, and why it was chosen
    vmemmap       VA of the struct page of PFN 0, which may be below all that is mapped
    region        first VA that the vmemmap may map, and one past the last
    """

    core: Dump
    target: Target
    memory: PhysicalMemory
    tables: PageTables
    struct_pages: StructPages
    choice: ReleaseChoice
    vmemmap: int
    region: tuple[int, int]

    @property
    def kernel(self) -> str:
        """Release of the kernel, empty for a core without VMCOREINFO."""
        return "" if self.core.vmcoreinfo is None else self.core.vmcoreinfo.osrelease

    def select(self, release: KernelRelease) -> Target:
        """Return the target with another release."""
        target = self.target
        return target.architecture.select(
            target.mode.name,
            profile=target.profile,
            release=release,
            features=target.features,
            vmemmap_base=target.mode.vmemmap_base,
        )

    def chosen(self, choice: ReleaseChoice) -> CoreSnapshot:
        """Return the same memory with the release of a choice."""
        target, info = self.select(choice.release), self.core.vmcoreinfo
        tables = PageTables(self.memory, target, self.tables.root)
        layout = layout_of(info, target.struct_page, target.mode.page_size, where=f"{self.core.path}, note VMCOREINFO")
        return replace(
            self,
            target=target,
            tables=tables,
            struct_pages=StructPages(tables, layout),
            choice=choice,
        )


def open_snapshot(
    path: str | os.PathLike[str], options: SnapshotOptions | None = None, parts: Sequence[Path] = ()
) -> CoreSnapshot:
    """Open the core at ``path`` and find its page tables and struct pages.

    parts  the other files of a dump that was split
    Raises CoreFileError for a file that cannot be read or has no root table, UsageError where an option is needed.
    """
    options = SnapshotOptions() if options is None else options
    core = _with_vmcoreinfo(open_dump(path, *parts, memory_map=options.memory_map), options)
    architecture = _architecture(core, options)
    if options.image is not None:
        from hvolab_vmcore.core.image_info import with_image  # noqa: PLC0415 - few dumps need it

        core = with_image(core, options.image, architecture, _only_page_size(architecture, options))
    _check_known(core, architecture, options)
    info = core.vmcoreinfo
    mode = _mode(core, architecture, options)
    if info is not None and info.page_size != mode.page_size:
        what = f"the kernel's pages have {info.page_size} bytes, those of mode {mode.name} {mode.page_size}"
        raise UsageError(what, where=str(core.path), hint="omit --mode, or name a mode of that page size")
    reported = options.features or reported_features(info, architecture, mode)

    def select(release: KernelRelease, features: tuple[str, ...] = reported, vmemmap_base: int | None = None) -> Target:
        return architecture.select(
            mode.name, profile=options.profile, release=release, features=features, vmemmap_base=vmemmap_base
        )

    if _noted_root(core, architecture) is None and cpu_state_of(core, architecture.elf_machine) is not None:
        core = replace(core, warnings=(*core.warnings, *_assumed(options)))
    choice = _choice(architecture, options, choose(targets_of(select), noted_evidence(info)))
    target = select(choice.release)
    layout = layout_of(info, target.struct_page, mode.page_size, where=f"{core.path}, note VMCOREINFO")
    memory, root = _memory_and_root(core, architecture, mode, target.mode, options)
    vmemmap = _vmemmap(core, PageTables(memory, target, root), options)
    first = memory.first_pfn if target.mode.origin is LinearOrigin.RAM else 0
    base = vmemmap + first * layout.size
    region = _region(core, target.mode, vmemmap, layout.size, memory)
    tables = PageTables(memory, select(choice.release, reported, base), root)
    if not options.features:
        features = detected_features(
            architecture, mode, tables, region, lambda names: select(choice.release, names, base), reported
        )
        tables = PageTables(memory, select(choice.release, features, base), root)
    pages = StructPages(tables, layout)
    return CoreSnapshot(core, tables.target, memory, tables, pages, choice, vmemmap, region)


def _with_vmcoreinfo(core: Dump, options: SnapshotOptions) -> Dump:
    """Return the dump with VMCOREINFO of the file that the options name, of its notes, or of its memory.

    The text in memory replaces a note of the same kernel that lacks the root table, as a damaged one may.
    """
    if options.vmcoreinfo is not None:
        return with_text_of(core, options.vmcoreinfo)
    info, root = core.vmcoreinfo, "swapper_pg_dir"
    given = None not in (options.mode, options.root, options.vmemmap)
    if given or (info is not None and (options.root is not None or info.symbol(root) is not None)):
        return core
    found = with_found_text(core)
    text = found.vmcoreinfo
    if info is None or text is None or (text.symbol(root) is not None and info.osrelease in {"", text.osrelease}):
        return found
    return core


def _assumed(options: SnapshotOptions) -> Iterator[str]:
    """Yield what is assumed of a core without VMCOREINFO that has the registers of a CPU."""
    if options.root is None:
        yield "root table and paging mode are those of a CPU's registers"
    if options.vmemmap is None:
        yield "the vmemmap is assumed to be where it is without KASLR"


def _translation(core: Dump, architecture: Architecture) -> tuple[int | None, int | None]:
    """Return the bits of VA and the PA of the root table: of VMCOREINFO, else of a CPU's registers; None: unknown."""
    info, keys = core.vmcoreinfo, keys_for(architecture.elf_machine)
    state = cpu_state_of(core, architecture.elf_machine)
    bits, root = (None, None) if state is None else (state.va_bits, state.root)
    noted = None if info is None or keys is None else keys.va_bits(info)
    noted_root = _noted_root(core, architecture)
    return bits if noted is None else noted, root if noted_root is None else noted_root


def _noted_root(core: Dump, architecture: Architecture) -> int | None:
    """Return the PA of the root table by VMCOREINFO; None: it does not have it."""
    info, keys = core.vmcoreinfo, keys_for(architecture.elf_machine)
    symbol = None if info is None else info.symbol("swapper_pg_dir")
    return None if info is None or keys is None or symbol is None else keys.root(info, symbol)


def _only_page_size(architecture: Architecture, options: SnapshotOptions) -> int | None:
    """Return the size of a base page where mode or architecture leave one; None: they leave several."""
    modes = architecture.modes if options.mode is None else (architecture.mode(options.mode),)
    sizes = {mode.page_size for mode in modes}
    return sizes.pop() if len(sizes) == 1 else None


def _check_known(core: Dump, architecture: Architecture, options: SnapshotOptions) -> None:
    """Raise UsageError that names every option that is needed."""
    info, (bits, root) = core.vmcoreinfo, _translation(core, architecture)
    state = cpu_state_of(core, architecture.elf_machine)
    modes = ", ".join(mode.name for mode in architecture.modes)
    needed = (
        ("the paging mode", f"--mode, one of {modes}", options.mode is None and bits is None),
        ("the root page table", "--root PA", options.root is None and root is None),
        (
            "the VA of the vmemmap",
            "--vmemmap VA, of the struct page of PFN 0",
            options.vmemmap is None and info is None and state is None,
        ),
    )
    missing = [(what, option) for what, option, absent in needed if absent]
    if missing:
        advice = "; ".join(option for _, option in missing)
        raise UsageError(
            f"cannot determine {', '.join(what for what, _ in missing)}",
            where=f"{core.path}, VMCOREINFO" + ("" if info is not None else _why_unusable(core)),
            rule="VMCOREINFO of the core does not contain it, so an option must",
            hint=_or_complete(core, f"give {advice}; or the text of VMCOREINFO by --vmcoreinfo FILE"),
        )


def _or_complete(core: Dump, hint: str) -> str:
    """Return a hint about what a dump lacks, after the action that adds what is missing in the file."""
    return f"{core.remedy}; or {hint}" if core.remedy else hint


def _why_unusable(core: Dump) -> str:
    """Return why a dump has no VMCOREINFO that can be used, to follow its name."""
    reasons = (text.removeprefix(UNUSABLE) for text in core.warnings if text.startswith(UNUSABLE))
    reason = next(reasons, None)
    return ", which is in no note and not in memory" if reason is None else f", which cannot be used{reason}"


def _choice(architecture: Architecture, options: SnapshotOptions, found: ReleaseChoice) -> ReleaseChoice:
    """Return the release that the options name, or the one that was found."""
    return found if options.release is None else ReleaseChoice(architecture.release(options.release), named=True)


def _memory_and_root(
    core: Dump, architecture: Architecture, mode: PagingMode, used: PagingMode, options: SnapshotOptions
) -> tuple[PhysicalMemory, int]:
    """Return the memory and the PA of its root table.

    mode  the mode for which the tables are laid out
    used  the mode that the CPU uses
    """
    root = options.root if options.root is not None else _root(core, architecture, mode, used)
    if root is None or root % used.levels[0].table_bytes:
        raise _undetermined("the root page table", "SYMBOL(swapper_pg_dir)", "--root PA", core)
    memory = memory_of(core, used.page_shift, architecture.entry_byte_order)
    if not memory.holds(root):
        (state,) = memory.states(np.array([root >> memory.page_shift])).tolist()
        missing = "was not saved" if state == FrameState.NOT_SAVED else "is not in the core"
        raise CoreFileError(
            f"the root table, at PA {root:#x}, {missing}",
            where=f"{core.path}, with memory from PA {min(core.ranges)[0]:#x} on",
            rule="SYMBOL(swapper_pg_dir) of VMCOREINFO, or --root",
            hint=core.remedy or "dump again without excluding kernel memory, or give --root PA",
        )
    return memory, root


def _architecture(core: Dump, options: SnapshotOptions) -> Architecture:
    """Return the architecture that the options name, or that of the core's ELF machine."""
    if options.arch is not None:
        found = registry().architecture(options.arch)
    else:
        known = registry().architectures().values()
        machine = core.machine or (core.vmcoreinfo and machine_of(core.vmcoreinfo))
        matching = [one for one in known if machine in {one.elf_machine, one.name, *one.aliases}]
        if not matching:
            offered = ", ".join(f"{one.name} ({one.elf_machine})" for one in known) or "none"
            hint = f"install one, or name one with --arch; installed: {offered}"
            what = f"no architecture plugin describes {machine}"
            if machine is None:
                what = f"the format {core.format} does not name the architecture, and there is no VMCOREINFO"
                hint = f"give --arch NAME, --mode NAME, --root PA and --vmemmap VA; architectures: {offered}"
                hint = _or_complete(core, hint)
            raise UsageError(what, where=str(core.path), hint=hint)
        found = next((one for one in matching if one.byte_order == core.byte_order), matching[0])
    if found.byte_order != core.byte_order:
        same = [one.name for one in registry().architectures().values() if one.byte_order == core.byte_order]
        raise UsageError(
            f"the core's data are {core.byte_order}-endian, those of {found.name} are {found.byte_order}-endian",
            where=str(core.path),
            rule="Architecture.byte_order is that of the kernel's data; entries may have another, entry_byte_order",
            hint=f"choose with --arch one of {', '.join(same)}" if same else "install a plugin for such a kernel",
        )
    return found


def _mode(core: Dump, architecture: Architecture, options: SnapshotOptions) -> PagingMode:
    """Return the mode that the options name, or the one with the page size and VA bits in VMCOREINFO."""
    if options.mode is not None:
        return architecture.mode(options.mode)
    info, (bits, _) = core.vmcoreinfo, _translation(core, architecture)
    names = ", ".join(mode.name for mode in architecture.modes)
    page_size = architecture.modes[0].page_size if info is None else info.page_size
    for mode in architecture.modes:
        if mode.page_size == page_size and bits in {mode.va_bits, mode.levels[0].shift + mode.levels[0].bits}:
            return mode
    what = f"{architecture.name} has no mode with pages of {page_size} bytes and {bits} bits of VA"
    hint = f"choose one of {names} with --mode"
    if all(mode.page_size != page_size for mode in architecture.modes):  # no mode would suit the note
        hint = "give the text of VMCOREINFO by --vmcoreinfo FILE: that of the dump is damaged"
    raise UsageError(what, where=str(core.path), hint=hint)


def _vmemmap(core: Dump, tables: PageTables, options: SnapshotOptions) -> int:
    """Return the VA of the struct page of PFN 0, from the options or the core."""
    vmemmap = vmemmap_of(core, tables) if options.vmemmap is None else options.vmemmap
    if vmemmap is None:
        option = "--vmemmap VA, of the struct page of PFN 0"
        raise _undetermined("the VA of the vmemmap", "SYMBOL(vmemmap)", option, core)
    if vmemmap % tables.target.mode.page_size or not 0 <= vmemmap < 1 << 64:
        raise UsageError(
            f"the vmemmap cannot start at VA {vmemmap:#x}",
            where=str(core.path),
            rule="SYMBOL(vmemmap) or --vmemmap: the struct page of PFN 0 starts a page",
            hint="check --vmemmap; the core may be damaged",
        )
    return vmemmap


def _root(core: Dump, architecture: Architecture, laid_out: PagingMode, used: PagingMode) -> int | None:
    """Return the PA at which the CPU's walks start: swapper_pg_dir, or its last entries.

    swapper_pg_dir is laid out for one mode. A CPU that uses fewer of its entries uses the last ones.
    Kernel: offset_ttbr1 in arch/arm64/include/asm/assembler.h, v6.12.
    """
    _, root = _translation(core, architecture)
    if root is None or laid_out.levels[0].shift != used.levels[0].shift:
        return root  # with fewer levels, the table is a whole one of the level below
    return root + laid_out.levels[0].table_bytes - used.levels[0].table_bytes


def _region(core: Dump, mode: PagingMode, vmemmap: int, size: int, memory: PhysicalMemory) -> tuple[int, int]:
    """Return the VAs that the vmemmap may map, bounded by the largest PFN and by VMCOREINFO."""
    info = core.vmcoreinfo
    bits = None if info is None else info.physical_bits
    frames = memory.first_pfn + memory.frames if bits is None else 1 << max(0, bits - mode.page_shift)
    start, end = vmemmap, min(vmemmap + frames * size, 1 << 64)
    if info is not None:
        start = max(start, info.number("VMEMMAP_START") or start)
        end = min(end, info.number("VMEMMAP_END") or end)
    start = max(start, (1 << 64) - (1 << (mode.levels[0].shift + mode.levels[0].bits)))
    if start >= end:
        raise CoreFileError(
            f"no VAs are left for the vmemmap at VA {vmemmap:#x}",
            where=str(core.path),
            rule=f"kernel VAs of mode {mode.name} start at {start:#x}; VMEMMAP_END and MAX_PHYSMEM_BITS bound it",
            hint="give --vmemmap VA, of the struct page of PFN 0",
        )
    return start, end


def _undetermined(what: str, source: str, option: str, core: Dump) -> UsageError:
    """Return the error for a value that neither the core nor an option has."""
    return UsageError(
        f"cannot determine {what}",
        where=f"{core.path}, {source}",
        rule="VMCOREINFO of the core does not contain it, so an option must",
        hint=f"give {option}",
    )
