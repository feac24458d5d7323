"""riscv on an emulator: how the MMU is switched on; the instruction sequences are in instructions.toml."""

from __future__ import annotations

from hvolab.arch import EmulatorLimit, RegisterSetting, Target, load_emulation_part

#: satp.MODE, privileged specification, section Supervisor Address Translation and Protection.
_SATP_MODES, _SATP_MODE = {39: 8, 48: 9, 57: 10}, 60
_SUPERVISOR = 1


def _registers(target: Target, root: int) -> tuple[RegisterSetting, ...]:
    """Supervisor mode below ``satp``; physical memory protection has no rules and stays out of the way."""
    mode = target.mode
    satp = _SATP_MODES[mode.va_bits] << _SATP_MODE | root >> mode.page_shift
    return (RegisterSetting("SATP", satp), RegisterSetting("PRIV", _SUPERVISOR))


EMULATION = load_emulation_part(
    "hvolab_riscv",
    registers=_registers,
    flush_ceiling=64,
    limits=(
        EmulatorLimit(
            "unicorn drops the N bit of an entry and takes its size for the PPN: no Svnapot", features=("svnapot",)
        ),
        EmulatorLimit("unicorn takes PBMT of an entry for the PPN, or drops it: no Svpbmt", features=("svpbmt",)),
        EmulatorLimit(
            "unicorn's walks set A and D as Svadu has it, where without it an access faults",
            without=("svadu",),
            refuses=False,
        ),
        EmulatorLimit("SFENCE.VMA with any operand forgets every translation", refuses=False),
    ),
    source="RISC-V privileged specification; tlb_flush_all_threshold in arch/riscv/mm/tlbflush.c, v6.12",
)
