# SPDX-License-Identifier: GPL-2.0-only
"""Creation of a unicorn instance for a target, and its registers."""

from __future__ import annotations

from collections.abc import Iterable
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


def apply(uc: Any, settings: Iterable[RegisterSetting], family: Family) -> None:
    """Set registers, in order."""
    for setting in settings:
        if setting.name == "msr":
            uc.msr_write(*setting.at, setting.value)
        elif setting.name == "cp_reg":
            uc.cpr_write(*setting.at, setting.value)
        else:
            uc.reg_write(family.register(setting.name), setting.value)
