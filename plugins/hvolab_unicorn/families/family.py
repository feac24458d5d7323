# SPDX-License-Identifier: GPL-2.0-only
"""Description of a family of emulated CPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hvolab.arch import FieldValues
from hvolab_unicorn.emulator.library import register_number
from hvolab_unicorn.guest.area import Area


@dataclass(frozen=True)
class StateField:
    """A field of the emulator's CPU state that its interface does not show; calibration finds its offset.

    name      of the field
    size      bytes
    register  register of the architecture's syndrome that has the same value; empty: see `clean` and `faulted`
    clean, faulted  value before and after every fault
    """

    name: str
    size: int
    register: str = ""
    clean: int = 0
    faulted: int = 0


@dataclass(frozen=True)
class Family:
    """Differences between families.

    architecture      unicorn's constant
    general           names of the general registers
    fields            fields of the emulator's state that report a fault
    page_faults       numbers of the interrupts that are faults of the MMU
    address_register  register of the syndrome that holds the VA that faulted
    syndrome          returns the registers that report a fault, by the names of the architecture's syndrome, from the
                      emulator, the number of the interrupt and the fields of the state
    prepare           sets up the CPU so that an exception can enter the handler in the text
    enter             enters the handler as the CPU does, with the arguments of `syndrome` and the area: saves the
                      interrupted state, reports the exception, jumps
    counter_offset    distance of the emulator's PC from the faulting instruction
    sets_page_size    True where the emulator needs the base page's size
    """

    architecture: str
    general: tuple[str, ...]
    fields: tuple[StateField, ...]
    page_faults: frozenset[int]
    address_register: str
    syndrome: Callable[[Any, int, Mapping[str, int]], FieldValues]
    prepare: Callable[[Any, Area], None]
    enter: Callable[[Any, int, Mapping[str, int], Area], None]
    counter_offset: int = 0
    sets_page_size: bool = False

    def register(self, name: str) -> int:
        """Return unicorn's number of a register."""
        return register_number(self.architecture, name)

    def read(self, uc: Any, name: str) -> Any:
        """Return the value of a register."""
        return uc.reg_read(self.register(name))

    def write(self, uc: Any, **values: Any) -> None:
        """Set registers, in order."""
        for name, value in values.items():
            uc.reg_write(self.register(name), value)
