"""What boot would have written into a kernel's own data, for its code to run on a machine that was built, not booted.

Values depend on where things were put; places on the image's symbols and types. What an image has already (as x86_64
has the bases of 4-level paging) is written all the same, since it is what the code relies on.
Kernel: setup_vm() in arch/riscv/mm/init.c, map_kernel() in arch/arm64/kernel/pi/map_kernel.c, check_la57_support() in
arch/x86/boot/startup/map_kernel.c (arch/x86/kernel/head64.c in v6.12), v6.12.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hvolab.arch import PagingMode
from hvolab_vmlinux.errors import KernelImageError
from hvolab_vmlinux.kernel import Kernel

_PAGE_SHIFT: Final = 12
_STRUCT_PAGE_SHIFT: Final = 6
#: Kernel: X86_FEATURE_LA57 in arch/x86/include/asm/cpufeatures.h, v6.12: a bit of an array of 32-bit words.
_LA57: Final = 16 * 32 + 16


@dataclass(frozen=True)
class Placement:
    """Where a kernel finds things: PAs of RAM and of the image, VAs of direct map and vmemmap, levels of its tables.

    direct_map  VA of the first byte of RAM on arm64 and riscv, of PA 0 on x86_64
    vmemmap     VA of the struct page of the first frame of RAM on arm64 and riscv, of PFN 0 on x86_64
    text        VA of the image
    """

    ram: int
    image: int
    direct_map: int
    vmemmap: int
    text: int
    levels: int


@dataclass(frozen=True)
class Setting:
    """A variable that boot writes.

    symbol    the variable
    value     what it holds then
    why       who reads it
    struct    the struct that it is, and `member` the member that is meant; empty: the variable itself
    size      bytes
    required  whether a kernel without it is none that this is for
    offset    bytes further on, in an array
    """

    symbol: str
    value: Callable[[Placement], int]
    why: str
    size: int = 8
    struct: str = ""
    member: str = ""
    required: bool = True
    offset: int = 0


@dataclass(frozen=True)
class Word:
    """Bytes to write: at `va`, the little-endian `value` of `size` bytes; and what that is, in words."""

    va: int
    size: int
    value: int
    words: str


@dataclass(frozen=True)
class Surroundings:
    """What else a kernel of a machine needs.

    root      symbol of its top table
    current   register that leads to the current task, which is init_task, by the machine's own name; empty: none
    settings  what boot writes
    page      two symbols that are one base page apart, where kernels are built for one of several; empty: there is one
    wide      a variable that only kernels have whose VAs are wider than so many bits; empty: it makes no difference
    """

    root: str
    current: str
    settings: tuple[Setting, ...]
    page: tuple[str, str] | None = None
    wide: tuple[str, int] | None = None


_SWITCH: Final = Setting(
    "vmemmap_optimize_enabled", lambda _: 1, "HVO itself; distributions leave it off", size=1, required=False
)


def _riscv_offset(member: str, value: Callable[[Placement], int]) -> Setting:
    return Setting("kernel_map", value, "__va(), __pa() of the image", struct="kernel_mapping", member=member)


def _riscv_start_pfn(at: Placement) -> int:
    """The PFN whose struct page is where the kernel takes the vmemmap to start, counted from its direct map.

    On a machine that was built it is that of the first frame of RAM, as boot has it; on one made from a core the direct
    map is elsewhere, and the vmemmap is not.
    Kernel: VMEMMAP_START and vmemmap in arch/riscv/include/asm/pgtable.h, v6.12.
    """
    bits = 12 + 9 * at.levels
    start = at.direct_map - (1 << bits - 2 >> 1) - (1 << bits - _PAGE_SHIFT - 1 + _STRUCT_PAGE_SHIFT)
    return (at.ram >> _PAGE_SHIFT) + (start - at.vmemmap >> _STRUCT_PAGE_SHIFT)


SURROUNDINGS: Final = {
    "EM_X86_64": Surroundings(
        "init_top_pgt",
        "",
        (
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
            Setting("pgdir_shift", lambda at: 48 if at.levels == 5 else 39, "PGDIR_SHIFT", 4, required=False),
            Setting("ptrs_per_p4d", lambda at: 512 if at.levels == 5 else 1, "PTRS_PER_P4D", 4, required=False),
        ),
    ),
    "EM_AARCH64": Surroundings(
        "swapper_pg_dir",
        "sp_el0",
        (
            _SWITCH,
            Setting("memstart_addr", lambda at: at.ram, "__va(), __pa()"),
            Setting("kimage_voffset", lambda at: at.text - at.image, "__pa_symbol()"),
            Setting("static_key_initialized", lambda _: 1, "static_key_slow_inc(), which warns without", 1),
        ),
        page=("reserved_pg_dir", "swapper_pg_dir"),
        wide=("vabits_actual", 48),
    ),
    "EM_RISCV": Surroundings(
        "swapper_pg_dir",
        "tp",
        (
            _SWITCH,
            _riscv_offset("page_offset", lambda at: at.direct_map),
            _riscv_offset("virt_addr", lambda at: at.text),
            _riscv_offset("phys_addr", lambda at: at.image),
            _riscv_offset("va_pa_offset", lambda at: at.direct_map - at.ram),
            _riscv_offset("va_kernel_pa_offset", lambda at: at.text - at.image),
            Setting("pgtable_l5_enabled", lambda at: int(at.levels >= 5), "pgd_offset() and sisters", 1),
            Setting("pgtable_l4_enabled", lambda at: int(at.levels >= 4), "p4d_offset() and sisters", 1),
            Setting("satp_mode", lambda at: (at.levels + 5) << 60, "who writes satp: Sv39 is 8, Sv48 9, Sv57 10"),
            Setting("phys_ram_base", lambda at: at.ram, "the direct map", required=False),
            Setting("vmemmap_start_pfn", _riscv_start_pfn, "pfn_to_page()", required=False),
        ),
    ),
}


def modes_of(kernel: Kernel, modes: Sequence[PagingMode]) -> tuple[PagingMode, ...]:
    """Those of the modes that a kernel runs in: all, where its machine's kernels find out at boot which one it is.

    Kernel: arch/arm64/kernel/vmlinux.lds.S; KIMAGE_VADDR and vabits_actual in arch/arm64/include/asm/memory.h, v6.12.
    """
    surroundings = SURROUNDINGS.get(kernel.image.machine)
    if surroundings is None or surroundings.page is None or surroundings.wide is None:
        return tuple(modes)
    first, second = map(kernel.symbols.find, surroundings.page)
    if first is None or second is None:
        return ()
    variable, bits = surroundings.wide
    wide = kernel.symbols.find(variable) is not None
    return tuple(
        mode
        for mode in modes
        if mode.page_size == second - first and mode.text_base == kernel.image.base and (mode.va_bits > bits) is wide
    )


def keeps_pages(kernel: Kernel) -> bool:
    """Whether the kernel's HVO keeps pages in its zones, which it goes to from struct pages."""
    return kernel.symbols.find("node_data") is not None and kernel.types.has_member("zone", "vmemmap_tails")


def node_words(kernel: Kernel, va: int, size: int) -> tuple[Word, ...]:
    """What leads from a struct page to its zone and node, for kernels whose HVO goes there: one node, at ``va``.

    Raises KernelImageError where that takes more than ``size`` bytes.
    Kernel: page_zone() in include/linux/mm.h, vmemmap_get_tail() in mm/hugetlb_vmemmap.c, v7.2.
    """
    if not keeps_pages(kernel):
        return ()
    types, nodes = kernel.types, kernel.symbols.address("node_data")
    zones, zone = types.offset("pglist_data", "node_zones"), types.size("zone")
    if types.size("pglist_data") > size:
        raise KernelImageError(f"there is no room for a node of {types.size('pglist_data')} bytes: {size}")
    words = [Word(nodes, 8, va, "node_data[0], for page_zone()")]
    for number in range((types.offset("pglist_data", "node_zonelists") - zones) // zone):
        at = va + zones + number * zone
        words += [
            Word(at + types.offset("zone", "zone_pgdat"), 8, va, "zone_pgdat, for who allocates on a zone's node"),
            Word(at + types.offset("zone", "node"), 4, 0, "node, for zone_to_nid()"),
        ]
    return tuple(words)


def initial_words(kernel: Kernel, placement: Placement) -> tuple[Word, ...]:
    """Everything that boot would have written, for things being where `placement` says.

    Raises KernelImageError for a machine that is not described or a variable that is not there, TypeInfoError for a
    member that is not there.
    """
    surroundings = SURROUNDINGS.get(kernel.image.machine)
    if surroundings is None:
        raise KernelImageError(
            f"what boot writes on {kernel.image.machine} is not described",
            rule=f"hvolab knows {', '.join(SURROUNDINGS)}",
        )
    words = []
    for one in surroundings.settings:
        va = kernel.symbols.find(one.symbol)
        if va is None and one.required:
            raise KernelImageError(
                f"the kernel has no {one.symbol}, which boot writes for {one.why}",
                where=kernel.image.release,
                hint="this kernel's code cannot be run yet: its configuration differs from those that are known",
            )
        if va is None:
            continue
        if one.member:
            va += kernel.types.offset(one.struct, one.member)
        name = f"{one.symbol}.{one.member}" if one.member else one.symbol
        words.append(
            Word(va + one.offset, one.size, one.value(placement) % (1 << 8 * one.size), f"{name}, for {one.why}")
        )
    return tuple(words)
