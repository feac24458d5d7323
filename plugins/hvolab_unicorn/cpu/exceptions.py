# SPDX-License-Identifier: GPL-2.0-only
"""Hooks for exceptions of the guest, which read the emulator's state while it is at the exception.

They cannot wait until it stops: then the emulator fetches where it stops, and a fault there changes the state.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from hvolab.arch import FieldValues
from hvolab_unicorn.emulator.library import address_of
from hvolab_unicorn.families import Family
from hvolab_unicorn.guest.area import Area
from hvolab_unicorn.guest.memory import GuestMemory

_KINDS: dict[int, Any] = {4: ctypes.c_uint32, 8: ctypes.c_uint64}


class Exceptions:
    """Exceptions of one emulator. They hold no reference to it: its hooks hold them, and it would never be freed.

    number    number of the exception that was raised; `None`: none
    syndrome  registers that report it
    hole      PA of an access to memory that does not exist; `None`: none
    state     the emulator's state at the exception, as long as the offsets of its fields are unknown
    handler   True where the guest's handler is entered, as by a CPU; else the emulator stops
    """

    def __init__(self, family: Family, area: Area, guest: GuestMemory, context: Any, counter: int) -> None:
        self.number: int | None = None
        self.syndrome: FieldValues = ()
        self.hole: int | None = None
        self.state = b""
        self.handler = False
        self._family = family
        self._area = area
        self._guest = guest
        self._context = context
        self._counter = counter
        #: Fields of the state, in the context that is saved at every exception.
        self._fields: tuple[tuple[str, Any], ...] = ()

    def find_fields(self, offsets: Mapping[str, int]) -> None:
        """Read the fields of the state from now on at these offsets in a saved context."""
        start = address_of(self._context)
        self._fields = tuple(
            (field.name, _KINDS[field.size].from_address(start + offsets[field.name])) for field in self._family.fields
        )

    def clear(self) -> None:
        """Forget the last exception."""
        self.number = self.hole = None

    def missing(self, _: Any, __: int, pa: int, ___: int, ____: int, _____: object) -> bool:
        """Map memory that is accessed first, and return True; record a hole and return False where there is none."""
        if self._guest.provide(pa):
            return True
        self.hole = pa
        return False

    def raised(self, uc: Any, number: int, _: object) -> None:
        """Record an exception. Unless this stops the emulator, the guest continues: in its handler, or by a retry."""
        self.number = number
        uc.context_update(self._context)
        family = self._family
        if not self._fields:
            self.state = bytes(self._context)
        elif number in family.page_faults:
            fields = {name: field.value for name, field in self._fields}
            self.syndrome = family.syndrome(uc, number, fields)
            if self._guest.provide_walk(dict(self.syndrome)[family.address_register]):
                self.number = None
                self._forget(uc)
                if family.counter_offset:  # else the emulator repeats the instruction
                    uc.reg_write(self._counter, uc.reg_read(self._counter) - family.counter_offset)
                return
            if self.handler:
                self._forget(uc)
                family.enter(uc, number, fields, self._area)
                return
        uc.emu_stop()

    def _forget(self, uc: Any) -> None:
        """Clear the exception in the emulator's state, or it would take the next one for a second one."""
        for field, (_, value) in zip(self._family.fields, self._fields, strict=True):
            if not field.register:
                value.value = field.clean
        if not all(field.register for field in self._family.fields):
            uc.context_restore(self._context)
