# SPDX-License-Identifier: GPL-2.0-only
"""VMCOREINFO keys that describe a kernel's page tables, one row for each architecture.

From these a reader finds the paging mode, the root table and the features. A core of any other architecture can be
read with --mode, --root and --vmemmap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo

_VA_MASK = (1 << 64) - 1
#: VA of the kernel's image on x86_64: __START_KERNEL_map in arch/x86/include/asm/page_64_types.h, v6.12.
_X86_64_KERNEL_MAP = 0xFFFFFFFF80000000


@dataclass(frozen=True)
class VmcoreInfoKeys:
    """Translation of one architecture's kernel, computed from its VMCOREINFO.

    elf_machine  name of the ELF machine
    mark         number that only this architecture's kernels have
    va_bits      bits of VA for which the tables below swapper_pg_dir are laid out
    root         PA of swapper_pg_dir, from its VA
    features     features of the architecture, each with the name of the number that is not 0 if the kernel uses it
    va_in_use    bits of VA that the CPU translates, which may be fewer
    """

    elf_machine: str
    mark: str
    va_bits: Callable[[VmcoreInfo], int | None]
    root: Callable[[VmcoreInfo, int], int | None]
    features: tuple[tuple[str, str], ...] = ()
    va_in_use: Callable[[VmcoreInfo], int | None] = lambda _: None


def _x86_64_va_bits(info: VmcoreInfo) -> int | None:
    five_levels = info.number("pgtable_l5_enabled")
    return None if five_levels is None else 57 if five_levels else 48


def _x86_64_root(info: VmcoreInfo, va: int) -> int | None:
    base = info.number("phys_base")
    return None if base is None else (va - _X86_64_KERNEL_MAP + base) & _VA_MASK


def _va_bits(info: VmcoreInfo) -> int | None:
    return info.number("VA_BITS")


def _arm64_va_in_use(info: VmcoreInfo) -> int | None:
    """Return 64 less TCR_EL1.T1SZ: a kernel built for 52 bits may run on a CPU that has 48."""
    unused = info.number("TCR_EL1_T1SZ")
    return None if unused is None else 64 - unused


def _fixed_offset(number: str) -> Callable[[VmcoreInfo, int], int | None]:
    """Return the conversion of image VA to PA for kernels whose image is mapped at a fixed offset, named `number`."""

    def root(info: VmcoreInfo, va: int) -> int | None:
        offset = info.number(number)
        return None if offset is None else (va - offset) & _VA_MASK

    return root


#: Kernel: arch_crash_save_vmcoreinfo() in arch/*/kernel/vmcore_info*.c, v6.12.
KEYS = (
    VmcoreInfoKeys("EM_X86_64", "phys_base", _x86_64_va_bits, _x86_64_root, features=(("sme", "sme_mask"),)),
    VmcoreInfoKeys(
        "EM_AARCH64", "kimage_voffset", _va_bits, _fixed_offset("kimage_voffset"), va_in_use=_arm64_va_in_use
    ),
    VmcoreInfoKeys("EM_RISCV", "va_kernel_pa_offset", _va_bits, _fixed_offset("va_kernel_pa_offset")),
)


def keys_for(elf_machine: str) -> VmcoreInfoKeys | None:
    """Return the keys of an ELF machine, None if it has no row."""
    return next((keys for keys in KEYS if keys.elf_machine == elf_machine), None)


def machine_of(info: VmcoreInfo) -> str | None:
    """Return the ELF machine of a kernel by its numbers, None if no row has them."""
    return next((keys.elf_machine for keys in KEYS if info.number(keys.mark) is not None), None)
