"""What happens when the guest raises an exception: it is noted while the emulator stands at it.

Not later: when it stops, the emulator looks at where it would have stopped, and a fault there leaves its mark.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

from hvolab.arch.fields import FieldValues
from hvolab_unicorn.emulator.library import address_of
from hvolab_unicorn.families import Family
from hvolab_unicorn.guest.area import Area
from hvolab_unicorn.guest.memory import GuestMemory

_KINDS: dict[int, Any] = {4: ctypes.c_uint32, 8: ctypes.c_uint64}


class Exceptions:
    """Takes the exceptions of one emulator.

    It must not hold the emulator, which holds the hook that holds this, or none of them would ever be freed.

    number    of the exception that was raised; ``None``: none
    syndrome  the registers that report it
    hole      PA of an access to memory that is not there; ``None``: none
    state     the emulator's state then, while it is not known where to look in it
    handler   whether the guest's handler is entered, as a CPU does; else the emulator stops
    """

    def __init__(self, family: Family, area: Area, guest: GuestMemory, context: Any) -> None:
        self.number: int | None = None
        self.syndrome: FieldValues = ()
        self.hole: int | None = None
        self.state = b""
        self.handler = False
        self._family = family
        self._area = area
        self._guest = guest
        self._context = context
        #: Fields of the state, in the context that is saved at every exception.
        self._fields: tuple[tuple[str, Any], ...] = ()

    def find_fields(self, offsets: Mapping[str, int]) -> None:
        """Take the fields of the state from these offsets in a saved context."""
        start = address_of(self._context)
        self._fields = tuple(
            (field.name, _KINDS[field.size].from_address(start + offsets[field.name])) for field in self._family.fields
        )

    def clear(self) -> None:
        """Forget what was noted."""
        self.number = self.hole = None

    def missing(self, _: Any, __: int, pa: int, ___: int, ____: int, _____: object) -> bool:
        """The hook for accesses to memory that is not mapped: map it and go on, or note that it is not there."""
        if self._guest.provide(pa):
            return True
        self.hole = pa
        return False

    def raised(self, uc: Any, number: int, _: object) -> None:
        """The hook. Where it does not stop the emulator, the guest goes on: at its handler, or with another try."""
        self.number = number
        uc.context_update(self._context)
        family = self._family
        if not self._fields:
            self.state = bytes(self._context)  # where its fields are is being found out
        elif number in family.page_faults:
            fields = {name: field.value for name, field in self._fields}
            self.syndrome = family.syndrome(uc, number, fields)
            if self._guest.sparse and self._guest.provide_walk(family.address(self.syndrome)):
                self.number = None
                self._forget(uc)
                family.retry(uc)
                return
            if self.handler:
                self._forget(uc)
                family.enter(uc, number, fields, self._area)
                return
        uc.emu_stop()

    def _forget(self, uc: Any) -> None:
        """Let the emulator forget the exception, which it would take the next one for a second one of."""
        restore = False
        for field, (_, value) in zip(self._family.fields, self._fields, strict=True):
            if not field.tells:
                value.value = field.clean
                restore = True
        if restore:
            uc.context_restore(self._context)
