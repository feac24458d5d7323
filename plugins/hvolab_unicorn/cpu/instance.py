"""Creation of a unicorn instance for a target, and its registers."""

from __future__ import annotations

from typing import Any

from hvolab.arch import EmulationPart, RegisterSetting, Target
from hvolab_unicorn.emulator.library import constants, unicorn
from hvolab_unicorn.families import Family

#: Bytes for a CPU's translated code: the default reserves 1 GiB of virtual memory.
_CODE_BUFFER = 8 << 20


def make_instance(part: EmulationPart, target: Target, family: Family) -> Any:
    """Return an instance for the target, with no memory mapped."""
    library = unicorn()
    architecture, mode = part.emulator
    uc = library.Uc(getattr(library.unicorn_const, architecture), getattr(library.unicorn_const, mode))
    if family.sets_page_size:  # before any other call, or pages of another size widen every flush
        uc.ctl_set_page_size(target.mode.page_size)
    if part.model:
        uc.ctl_set_cpu_model(getattr(constants(architecture), part.model))
    uc.ctl_set_tcg_buffer_size(_CODE_BUFFER)
    return uc


def register(part: EmulationPart, family: Family, name: str) -> int:
    """Return unicorn's number of a register."""
    number: int = getattr(constants(part.emulator[0]), family.prefix + name.upper())
    return number


def apply(uc: Any, setting: RegisterSetting, part: EmulationPart, family: Family) -> None:
    """Set a register."""
    if setting.name == "msr":
        uc.msr_write(*setting.at, setting.value)
    elif setting.name == "cp_reg":
        uc.cpr_write(*setting.at, setting.value)
    else:
        uc.reg_write(register(part, family, setting.name), setting.value)
