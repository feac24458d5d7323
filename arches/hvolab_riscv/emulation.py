# SPDX-License-Identifier: GPL-2.0-only
"""riscv on an emulator: set-up of the MMU; the instruction sequences are in instructions.toml."""

from __future__ import annotations

from dataclasses import replace

from hvolab.arch import (
    AddressPart,
    CpuMode,
    EmulatorLimit,
    EntryKind,
    Match,
    Permission,
    RegisterSetting,
    Selection,
    UpdateRule,
    WalkLimit,
    load_emulation_part,
)
from hvolab_riscv.entries import R, U, W, X

#: satp.MODE, privileged specification, section Supervisor Address Translation and Protection.
_SATP_MODES, _SATP_MODE = {39: 8, 48: 9, 57: 10}, 60
_SUPERVISOR = 1
#: sstatus: section Memory Privilege in mstatus Register.
_SUM, _MXR = 1 << 18, 1 << 19
_READ = Permission(leaf=Match(R, R), privilege=Match(U, 0))
_READ_EXECUTABLE = Permission(leaf=Match(X, X), privilege=Match(U, 0))
_A, _D = 1 << 6, 1 << 7


def _registers(selection: Selection, root: int) -> tuple[RegisterSetting, ...]:
    """Return the settings for supervisor mode with ``satp``; physical memory protection has no rules."""
    mode = selection.mode
    satp = _SATP_MODES[mode.va_bits] << _SATP_MODE | root >> mode.page_shift
    return (RegisterSetting("SATP", satp), RegisterSetting("PRIV", _SUPERVISOR))


EMULATION = load_emulation_part(
    "hvolab_riscv",
    registers=_registers,
    flush_ceiling=64,
    limits=(
        EmulatorLimit(
            "unicorn has no Svnapot: it drops N of an entry and takes its size for the PPN",
            features=("svnapot",),
        ),
        EmulatorLimit("unicorn has no Svpbmt: it takes PBMT for the PPN, or drops it", features=("svpbmt",)),
        EmulatorLimit(
            "unicorn's walks set A and D like Svadu; without it an access faults",
            without=("svadu",),
            refuses=False,
        ),
        EmulatorLimit("SFENCE.VMA with any operand invalidates every translation", refuses=False),
    ),
    walks=(
        WalkLimit(
            "walks set A and D like Svadu",
            mmu=(("accessed_by", UpdateRule.WALKER), ("dirty_by", UpdateRule.WALKER)),
            without=("svadu",),
        ),
        WalkLimit(
            "reserved bits 63:62 are not checked, nor are A, D and U of a pointer",
            ignored=((EntryKind.LEAF, 3 << 62), (EntryKind.TABLE, 3 << 62 | _A | _D | U)),
        ),
        WalkLimit(
            "reserved bits 61:54 are taken for bits of the PPN", widened=((EntryKind.LEAF, AddressPart(54, 8, 56)),)
        ),
    ),
    cpu_modes=(
        CpuMode(
            "sum=1",
            "sstatus.SUM is set: user pages can be loaded from and stored to",
            settings=(RegisterSetting("SSTATUS", _SUM),),
            mmu=(("read", Permission(leaf=Match(R, R))), ("write", Permission(leaf=Match(W, W)))),
            source="RISC-V privileged specification, section 3.1.6.3",
        ),
        CpuMode(
            "mxr=1",
            "sstatus.MXR is set: executable pages can be loaded from",
            settings=(RegisterSetting("SSTATUS", _MXR),),
            mmu=(("read", replace(_READ, alternatives=(_READ_EXECUTABLE,))),),
            source="RISC-V privileged specification, section 3.1.6.3",
        ),
    ),
    source="RISC-V privileged specification; tlb_flush_all_threshold in arch/riscv/mm/tlbflush.c, v6.12",
)
