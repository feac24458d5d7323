"""The interface of a family of emulated CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hvolab.arch.fields import FieldValues


@dataclass(frozen=True)
class StateField:
    """A field of the emulator's CPU state that has no register in its interface; its offset is found at start.

    name   what it is called here
    size   bytes
    tells  name of the register of a syndrome whose value it has; empty: see ``clean`` and ``faulted``
    clean, faulted  its value before and after every fault
    """

    name: str
    size: int
    tells: str = ""
    clean: int = 0
    faulted: int = 0


@dataclass(frozen=True)
class GuestLayout:
    """Where a CPU's own structures for exceptions are: VAs, all of them zeroed.

    text     VA of the text, with the handler at guest_text.HANDLER
    tables   room for descriptor tables, 512 bytes
    stack    VA of the top of the stack
    """

    text: int
    tables: int
    stack: int


class GuestBytes(Protocol):
    """Bytes of the machine by their VA in the direct map."""

    def read(self, va: int, size: int) -> bytes:
        """The bytes there."""
        ...

    def write(self, va: int, data: bytes) -> None:
        """Put bytes there."""
        ...


class Family(Protocol):
    """What differs between families.

    prefix         of the names of its registers
    fields         what is read from the state
    page_faults    numbers of interrupts that are faults of the MMU
    sets_page_size whether the emulator has to be told the base page
    general        names of its general registers
    """

    prefix: str
    fields: tuple[StateField, ...]
    page_faults: frozenset[int]
    sets_page_size: bool
    general: tuple[str, ...]

    def syndrome(self, uc: Any, number: int, state: Mapping[str, int]) -> FieldValues:
        """The registers that report the fault, as the architecture's syndrome names them."""
        ...

    def address(self, syndrome: FieldValues) -> int:
        """The VA that faulted."""
        ...

    def retry(self, uc: Any) -> None:
        """Have the faulting instruction carried out again, from within the hook."""
        ...

    def prepare(self, uc: Any, layout: GuestLayout, memory: GuestBytes) -> None:
        """Make the handler ready to be entered."""
        ...

    def enter(self, uc: Any, number: int, state: Mapping[str, int], memory: GuestBytes) -> None:
        """Do what the CPU does when it takes the exception: save where it was, report, go to the handler."""
        ...
