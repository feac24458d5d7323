"""Interface of a family of emulated CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hvolab.arch import FieldValues
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


class Family(Protocol):
    """Differences between families.

    prefix            prefix of unicorn's constants for registers
    fields            fields of the emulator's state that report a fault
    page_faults       numbers of the interrupts that are faults of the MMU
    address_register  register of the syndrome that holds the VA that faulted
    counter_offset    distance of the emulator's PC from the faulting instruction
    sets_page_size    True where the emulator needs the base page's size
    general           names of the general registers
    """

    prefix: str
    fields: tuple[StateField, ...]
    page_faults: frozenset[int]
    address_register: str
    counter_offset: int
    sets_page_size: bool
    general: tuple[str, ...]

    def syndrome(self, uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
        """Return the registers that report fault `number`, by the names of the architecture's syndrome."""
        ...

    def prepare(self, uc: Any, area: Area) -> None:
        """Set up the CPU so that an exception can enter the handler in the text."""
        ...

    def enter(self, uc: Any, number: int, state: Mapping[str, int], area: Area) -> None:
        """Enter the handler as the CPU does: save the interrupted state, report the exception, jump."""
        ...
