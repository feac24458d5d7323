# SPDX-License-Identifier: GPL-2.0-only
"""x86_64 on an emulator: set-up of the MMU; the instruction sequences are in instructions.toml."""

from __future__ import annotations

from hvolab.arch import (
    CpuMode,
    EmulatorLimit,
    Permission,
    RegisterSetting,
    Selection,
    WalkLimit,
    load_emulation_part,
)
from hvolab_x86_64.faults import syndrome_without_nx

#: EFER, Intel SDM 4, table 2-2: SYSCALL, long mode enabled and active, execute-disable.
_EFER, _SCE, _LME, _LMA, _NXE = 0xC0000080, 1 << 0, 1 << 8, 1 << 10, 1 << 11
#: CR4 and CR0, Intel SDM 3A, section 2.5.
_PAE, _PGE, _OSFXSR, _LA57 = 1 << 5, 1 << 7, 1 << 9, 1 << 12
_PE, _MP, _ET, _NE, _WP, _AM, _PG = 1 << 0, 1 << 1, 1 << 4, 1 << 5, 1 << 16, 1 << 18, 1 << 31
_LEVELS_OF_LA57 = 5
_KERNEL_EFER = _SCE | _LME | _LMA | _NXE
_KERNEL_CR0 = _PE | _MP | _ET | _NE | _WP | _AM | _PG
_NX = 1 << 63


def _registers(selection: Selection, root: int) -> tuple[RegisterSetting, ...]:
    """Return the settings for Linux's paging, supervisor mode, write protection on."""
    la57 = _LA57 if len(selection.mode.levels) == _LEVELS_OF_LA57 else 0
    return (
        RegisterSetting("msr", _KERNEL_EFER, (_EFER,)),
        RegisterSetting("CR4", _PAE | _PGE | _OSFXSR | la57),
        RegisterSetting("CR3", root),
        RegisterSetting("CR0", _KERNEL_CR0),
    )


EMULATION = load_emulation_part(
    "hvolab_x86_64",
    registers=_registers,
    flush_ceiling=33,
    limits=(
        EmulatorLimit("unicorn has no SME: it takes the C bit of an entry for a bit of the PA", features=("sme",)),
        EmulatorLimit(
            "unicorn executes a locked operation as a load and a store: if nothing is mapped the load faults, and the "
            "error code has no write",
            refuses=False,
        ),
    ),
    walks=(
        WalkLimit("a locked operation is refused as a load if a load is refused too", loads_first=True),
        WalkLimit("a leaf's accessed flag is set before its reserved bits are checked", flags_on_fault=True),
    ),
    cpu_modes=(
        CpuMode(
            "wp=0",
            "CR0.WP is clear: supervisor stores ignore RW",
            settings=(RegisterSetting("CR0", _KERNEL_CR0 & ~_WP),),
            mmu=(("write", Permission()),),
            source="Intel SDM 3A, section 5.6.1",
        ),
        CpuMode(
            "nxe=0",
            "EFER.NXE is clear: NX is reserved",
            settings=(RegisterSetting("msr", _KERNEL_EFER & ~_NXE, (_EFER,)),),
            mmu=(("execute", Permission()), ("syndrome", syndrome_without_nx)),
            clears=("NX",),
            reserves=_NX,
            source="Intel SDM 3A, section 5.6.1; section 5.7",
        ),
    ),
    source="Intel SDM 3A, sections 2.5 and 5.1; tlb_single_page_flush_ceiling in arch/x86/mm/tlb.c, v6.12",
)
