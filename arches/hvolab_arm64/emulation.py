# SPDX-License-Identifier: GPL-2.0-only
"""arm64 on an emulator: set-up of the MMU; the instruction sequences are in instructions.toml."""

from __future__ import annotations

from hvolab.arch import EmulatorLimit, RegisterSetting, Selection, WalkLimit, load_emulation_part

#: op0, op1, CRn, CRm, op2: Arm ARM D24.2.
_SCR_EL3, _MAIR, _TCR = (3, 6, 1, 1, 0), (3, 0, 10, 2, 0), (3, 0, 2, 0, 2)
_TTBR1, _SCTLR = (3, 0, 2, 0, 1), (3, 0, 1, 0, 0)
_SCR_RW = 1 << 10  # EL1 is AArch64: the emulator starts with EL3, and without this bit walks as for AArch32
_SCTLR_M, _SCTLR_C, _SCTLR_I = 1 << 0, 1 << 2, 1 << 12
_MT_NORMAL = 0xFF  # attribute 0, the kernel's
_EPD0, _T1SZ, _IRGN1, _ORGN1, _SH1, _TG1, _IPS = 7, 16, 24, 26, 28, 30, 32
_WRITE_BACK, _INNER, _PA_48 = 1, 3, 5
#: TCR_EL1.TG1 by log2 of the granule.
_GRANULES = {12: 2, 14: 1, 16: 3}


def _registers(selection: Selection, root: int) -> tuple[RegisterSetting, ...]:
    """Return the settings for EL1 with its kernel half, TTBR1_EL1; walks through TTBR0_EL1 are disabled."""
    mode = selection.mode
    size = 64 - mode.va_bits
    tcr = size | 1 << _EPD0 | size << _T1SZ | _GRANULES[mode.page_shift] << _TG1 | _PA_48 << _IPS
    tcr |= _WRITE_BACK << _IRGN1 | _WRITE_BACK << _ORGN1 | _INNER << _SH1
    return (
        RegisterSetting("cp_reg", _SCR_RW, _SCR_EL3),
        RegisterSetting("cp_reg", _MT_NORMAL, _MAIR),
        RegisterSetting("cp_reg", tcr, _TCR),
        RegisterSetting("cp_reg", root, _TTBR1),
        RegisterSetting("cp_reg", _SCTLR_M | _SCTLR_C | _SCTLR_I, _SCTLR),
    )


_OLD = "unicorn's core is that of QEMU 5.0"

EMULATION = load_emulation_part(
    "hvolab_arm64",
    registers=_registers,
    flush_ceiling=0,  # MAX_DVM_OPS is PTRS_PER_PTE
    limits=(
        EmulatorLimit(f"{_OLD}, which has no LPA2", modes=("4K-52bit", "16K-52bit")),
        EmulatorLimit(f"{_OLD}, which has no 52-bit VA", modes=("64K-52bit",)),
        EmulatorLimit(f"{_OLD}, whose walks set no access flag", features=("hafdbs",)),
        EmulatorLimit(f"{_OLD}, whose walks set no access flag, which mm-2026 needs", releases=("mm-2026",)),
    ),
    walks=(
        WalkLimit(f"{_OLD}, which takes 0b01 for a block at every level but the last", leaves=("pgd", "p4d", "pud")),
        WalkLimit("an atomic operation is refused as a load if a load is refused too", loads_first=True),
        WalkLimit(f"{_OLD}, which takes RES0 bits of a block's address for address bits", low_address=True),
    ),
    source="Arm ARM D8 and D24.2; MAX_DVM_OPS in arch/arm64/include/asm/tlbflush.h, v6.12",
)
