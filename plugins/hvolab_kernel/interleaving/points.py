# SPDX-License-Identifier: GPL-2.0-only
"""Instructions of a kernel by name, and the functions that are treated as a whole."""

from __future__ import annotations

import re
from typing import Final

from hvolab.errors import UsageError
from hvolab_kernel.code.instructions import function_end
from hvolab_kernel.running.tracer import COPY_FUNCTIONS
from hvolab_vmlinux.kernel import Kernel

#: Functions that copy: each call is one step. Kernel: arch/x86/lib/copy_page_64.S, memcpy_64.S, v6.12, v7.2.
_COPIES: Final = (*COPY_FUNCTIONS, "copy_page_regs", "memcpy", "memcpy_orig")
#: Those that copy a page, and whether bytes are their third argument; the first one that a kernel has is called last.
_PAGE_COPIES: Final = {"copy_page_regs": False, "copy_page": False, "__memcpy": True}
#: Functions that take the spin lock that is their first argument: each call is one step, which waits until it is free.
#: Kernel: kernel/locking/spinlock.c; ticket_spin_lock() in include/asm-generic/ticket_spinlock.h, v6.12, v7.2.
_SPIN_LOCKS: Final = ("_raw_spin_lock", "_raw_spin_lock_irq", "_raw_spin_lock_irqsave", "do_raw_spin_lock")
_NAME: Final = re.compile(r"(.+?)(?:\+0x([0-9a-f]+))?")


class Points:
    """Names and VAs of instructions of a kernel.

    locks      VAs of functions that take a spin lock
    page_copy  VA of the function that copies pages, and whether bytes are its third argument; None: none is known
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        copies, locks = (self._ranges(names) for names in (_COPIES, _SPIN_LOCKS))
        self._whole = (*copies, *locks)
        self._locks = locks
        self.locks = frozenset(one.start for one in locks)
        found = ((kernel.symbols.find(name), sized) for name, sized in _PAGE_COPIES.items())
        self.page_copy = next(((va, sized) for va, sized in found if va is not None), None)
        self._names: dict[int, str] = {}

    def _ranges(self, names: tuple[str, ...]) -> list[range]:
        found = (va for name in names for va in self._kernel.symbols.all(name))
        return [range(va, function_end(self._kernel, va)) for va in found]

    def stop_for(self, va: int) -> int:
        """Return the VA of the instruction before which a CPU must stop for the one at ``va``."""
        return next((one.start for one in self._whole if va in one), va)

    def takes_lock(self, va: int) -> bool:
        """Return whether an instruction is of a function that takes a spin lock."""
        return any(va in one for one in self._locks)

    def name(self, va: int) -> str:
        """Return symbol and offset of an instruction."""
        found = self._names.get(va)
        if found is None:
            found = self._names[va] = self._kernel.describe(va)
        return found

    def va(self, name: str) -> int:
        """Return the VA of an instruction; raises UsageError for a name that the kernel does not have."""
        found = _NAME.fullmatch(name)
        start = None if found is None else self._kernel.symbols.find(found[1])
        if found is None or start is None:
            raise UsageError(
                f"this kernel has no instruction {name}",
                where=self._kernel.image.release,
                hint="name the image with which the schedule was printed",
            )
        return start + int(found[2] or "0", 16)
