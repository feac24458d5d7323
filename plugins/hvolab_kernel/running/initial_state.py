# SPDX-License-Identifier: GPL-2.0-only
"""Initial values of a kernel's own data: what boot would write for its code to run on a machine built by hvolab.

Values depend on the placement in memory, addresses on the image's symbols and types. Values that an image already has
(on x86_64 the bases of 4-level paging) are written as well, since the code relies on them.
Kernel: setup_vm() in arch/riscv/mm/init.c, map_kernel() in arch/arm64/kernel/pi/map_kernel.c, check_la57_support() in
arch/x86/boot/startup/map_kernel.c (arch/x86/kernel/head64.c in v6.12), probe_page_size_mask() in arch/x86/mm/init.c,
v6.12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from hvolab.arch import PagingMode
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel

_PAGE_SHIFT: Final = 12
_STRUCT_PAGE_SHIFT: Final = 6
#: Kernel: X86_FEATURE_LA57 in arch/x86/include/asm/cpufeatures.h, v6.12: a bit of an array of 32-bit words.
_LA57: Final = 16 * 32 + 16
_GLOBAL: Final = 1 << 8


@dataclass(frozen=True)
class Placement:
    """Values that a kernel's data depend on: PAs of RAM and image, VAs, levels of tables, features.

    direct_map  VA of the first byte of RAM on arm64 and riscv, of PA 0 on x86_64
    vmemmap     VA of the struct page of the first frame of RAM on arm64 and riscv, of PFN 0 on x86_64
    text        VA of the image
    features    names of the target's features
    """

    ram: int
    image: int
    direct_map: int
    vmemmap: int
    text: int
    levels: int
    features: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Setting:
    """A variable that boot writes.

    symbol    the variable
    value     its value for a placement
    purpose   the code that reads it
    size      bytes
    struct    type of the variable, and `member` the member to write; empty: the variable itself
    required  True if a kernel without the variable cannot be run
    offset    bytes further on, in an array
    """

    symbol: str
    value: Callable[[Placement], int]
    purpose: str
    size: int = 8
    struct: str = ""
    member: str = ""
    required: bool = True
    offset: int = 0


class Word(NamedTuple):
    """A little-endian value of `size` bytes to write at `va`."""

    va: int
    size: int
    value: int


_SWITCH: Final = Setting(
    "vmemmap_optimize_enabled", lambda _: 1, "HVO itself; off by default in distributions", size=1, required=False
)


def _riscv_map(member: str, value: Callable[[Placement], int]) -> Setting:
    return Setting("kernel_map", value, "__va(), __pa() of the image", struct="kernel_mapping", member=member)


def _riscv_start_pfn(at: Placement) -> int:
    """Return the PFN of the struct page at the start of the kernel's vmemmap, which follows from its direct map.

    It is the first frame of RAM on a machine that hvolab built, as at boot. On a machine made from a core the direct
    map is at another distance from the vmemmap.
    Kernel: VMEMMAP_START and vmemmap in arch/riscv/include/asm/pgtable.h, v6.12.
    """
    bits = 12 + 9 * at.levels
    start = at.direct_map - (1 << bits - 2 >> 1) - (1 << bits - _PAGE_SHIFT - 1 + _STRUCT_PAGE_SHIFT)
    return (at.ram >> _PAGE_SHIFT) + (start - at.vmemmap >> _STRUCT_PAGE_SHIFT)


#: The variables that boot writes, by ELF machine.
SETTINGS: Final = {
    "EM_X86_64": (
        _SWITCH,
        Setting("page_offset_base", lambda at: at.direct_map, "__va()", required=False),
        Setting("vmemmap_base", lambda at: at.vmemmap, "pfn_to_page()", required=False),
        Setting("__pgtable_l5_enabled", lambda at: int(at.levels == 5), "pgtable_l5_enabled()", 4, required=False),
        Setting(
            "boot_cpu_data",
            lambda at: int(at.levels == 5) << _LA57 % 32,
            "pgtable_l5_enabled(), before alternatives are patched",
            4,
            "cpuinfo_x86",
            "x86_capability",
            offset=4 * (_LA57 // 32),
        ),
        Setting(
            "__default_kernel_pte_mask",
            lambda at: ~_GLOBAL if "pti" in at.features else ~0,
            "PAGE_KERNEL, which is not global with page-table isolation",
            required=False,
        ),
        Setting("pgdir_shift", lambda at: 48 if at.levels == 5 else 39, "PGDIR_SHIFT", 4, required=False),
        Setting("ptrs_per_p4d", lambda at: 512 if at.levels == 5 else 1, "PTRS_PER_P4D", 4, required=False),
    ),
    "EM_AARCH64": (
        _SWITCH,
        Setting("memstart_addr", lambda at: at.ram, "__va(), __pa()"),
        Setting("kimage_voffset", lambda at: at.text - at.image, "__pa_symbol()"),
        Setting(
            "arm64_use_ng_mappings",
            lambda at: int("kpti" in at.features),
            "PAGE_KERNEL, which is not global with page-table isolation",
            1,
            required=False,
        ),
        Setting("static_key_initialized", lambda _: 1, "static_key_slow_inc(), which warns if it is 0", 1),
    ),
    "EM_RISCV": (
        _SWITCH,
        _riscv_map("page_offset", lambda at: at.direct_map),
        _riscv_map("virt_addr", lambda at: at.text),
        _riscv_map("phys_addr", lambda at: at.image),
        _riscv_map("va_pa_offset", lambda at: at.direct_map - at.ram),
        _riscv_map("va_kernel_pa_offset", lambda at: at.text - at.image),
        Setting("pgtable_l5_enabled", lambda at: int(at.levels >= 5), "pgd_offset() and its relatives", 1),
        Setting("pgtable_l4_enabled", lambda at: int(at.levels >= 4), "p4d_offset() and its relatives", 1),
        Setting("satp_mode", lambda at: (at.levels + 5) << 60, "writes to satp: 8 for Sv39, 9 for Sv48, 10 for Sv57"),
        Setting("phys_ram_base", lambda at: at.ram, "the direct map", required=False),
        Setting("vmemmap_start_pfn", _riscv_start_pfn, "pfn_to_page()", required=False),
    ),
}

#: Machines whose kernels are built for one paging mode. Two symbols of theirs are one base page apart, and a variable
#: exists only where VAs have more than 48 bits.
_ONE_MODE: Final = {"EM_AARCH64"}
_PAGE_BOUNDS: Final = ("reserved_pg_dir", "swapper_pg_dir")
#: Symbols of which kernels with more than 48 bits of VA have one. In v6.12 the width is read from a register, and the
#: early code of kernels with LPA2 refers to the override of another.
#: Kernel: vabits_actual in arch/arm64/include/asm/memory.h, arch/arm64/kernel/image-vars.h, v6.12.
_WIDE_VA: Final = ("vabits_actual", "__pi_id_aa64mmfr0_override")
_NARROW_BITS: Final = 48


def modes_of(kernel: Kernel, modes: Sequence[PagingMode]) -> tuple[PagingMode, ...]:
    """Return those of the modes that a kernel runs in: all of them if it selects one at boot.

    Kernel: arch/arm64/kernel/vmlinux.lds.S; KIMAGE_VADDR and vabits_actual in arch/arm64/include/asm/memory.h, v6.12.
    """
    if kernel.image.machine not in _ONE_MODE:
        return tuple(modes)
    first, second = map(kernel.symbols.find, _PAGE_BOUNDS)
    if first is None or second is None:
        return ()
    wide = any(kernel.symbols.find(name) is not None for name in _WIDE_VA)
    return tuple(
        mode
        for mode in modes
        if mode.page_size == second - first
        and mode.text_base == kernel.image.base
        and (mode.va_bits > _NARROW_BITS) is wide
    )


class Zone(NamedTuple):
    """A zone in a kernel's own data: the number of its node, its number there, and the VA of its struct."""

    node: int
    number: int
    va: int


def zones_of(kernel: Kernel, va: int, size: int, count: int) -> tuple[Zone, ...]:
    """Return the zones of `count` nodes of `size` bytes each, the first at `va`; none if HVO does not use zones.

    Kernel: struct pglist_data and struct zone in include/linux/mmzone.h, v7.2.
    """
    types = kernel.types
    if not types.has_member("zone", "vmemmap_tails"):
        return ()
    first, end = (types.offset("pglist_data", name) for name in ("node_zones", "node_zonelists"))
    zone = types.size("zone")
    return tuple(
        Zone(node, number, va + node * size + offset)
        for node in range(count)
        for number, offset in enumerate(range(first, end - zone + 1, zone))
    )


def node_words(kernel: Kernel, va: int, size: int, count: int) -> tuple[Word, ...]:
    """Return the words that lead from a struct page to its zone and node, if HVO uses zones.

    va     the first node; each of `count` nodes has `size` bytes

    Raises KernelImageError where a node takes more than `size` bytes.
    Kernel: page_zone() in include/linux/mm.h, vmemmap_get_tail() in mm/hugetlb_vmemmap.c, v7.2.
    """
    types, nodes = kernel.types, kernel.symbols.find("node_data")
    zones = zones_of(kernel, va, size, count)
    if nodes is None or not zones:
        return ()
    node = types.size("pglist_data")
    if node > size:
        raise KernelImageError(f"a node of {node} bytes does not fit into {size} bytes", where=kernel.image.release)
    words = [Word(nodes + 8 * number, 8, va + number * size) for number in range(count)]
    for zone in zones:
        words += [
            Word(zone.va + types.offset("zone", "zone_pgdat"), 8, va + zone.node * size),
            Word(zone.va + types.offset("zone", "node"), 4, zone.node),
        ]
    return tuple(words)


def initial_words(kernel: Kernel, placement: Placement) -> tuple[Word, ...]:
    """Return every word that boot would write for this placement.

    Raises KernelImageError for a missing variable, TypeInfoError for a missing member.
    """
    words = []
    for one in SETTINGS[kernel.image.machine]:
        va = kernel.symbols.find(one.symbol)
        if va is None and one.required:
            raise KernelImageError(
                f"the kernel has no {one.symbol}, which boot writes for {one.purpose}",
                where=kernel.image.release,
                hint="run a kernel of another configuration: hvolab does not know this one's",
            )
        if va is None:
            continue
        value = one.value(placement) % (1 << 8 * one.size)
        if one.member:
            if kernel.types.find(one.struct) is None:  # an object has the types that its file uses
                if not value:  # the image has zero there
                    continue
                raise KernelImageError(
                    f"the type information has no struct {one.struct}, in which boot writes for {one.purpose}",
                    where=kernel.image.release,
                    hint="add type information to a vmlinux with DWARF: pahole -J vmlinux",
                )
            va += kernel.types.offset(one.struct, one.member)
        words.append(Word(va + one.offset, one.size, value))
    return tuple(words)
