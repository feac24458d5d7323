# SPDX-License-Identifier: GPL-2.0-only
"""Result of a call of a kernel function, read from the CPU, the stack and the kernel's bug table when it ends."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from hvolab.arch import Access, Fault, PageFault
from hvolab.arithmetic import WORD_BYTES
from hvolab.errors import AbsentMemoryError, HvolabError, KernelBug, MachineError, OwnershipError, UsageError
from hvolab.machine import Machine
from hvolab_kernel.code.bug_table import bug_table_of
from hvolab_kernel.running.abi import CallingConvention
from hvolab_kernel.running.backtrace import instructions_around, place_of, return_addresses
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_kernel.running.processors import Region
from hvolab_unicorn.cpu.faults import FaultRecords
from hvolab_unicorn.cpu.vcpu import VirtualCpu

#: Warnings after which a call counts as an endless loop: a constant, and more for each page of the vmemmap.
_WARNINGS, _WARNINGS_PER_PAGE = 64, 4
#: Errors of handlers for arguments that no code may pass: a frame of another owner, an order that is too high.
REFUSALS: Final = (OwnershipError, UsageError, MachineError)
#: Errors of hvolab's own reads at an address that the code passes: nothing is mapped there, or no memory.
UNREADABLE: Final = (PageFault, AbsentMemoryError)
_ACCESSES: Final = (Access.READ, Access.WRITE, Access.EXECUTE)


class CallStatus(enum.Enum):
    """The way a call ended. The value is the text of messages."""

    RETURNED = "returned"
    FAULT = "faulted"
    BUG = "ran into a BUG()"
    STUCK = "did not end"
    STOPPED = "called a kernel function that has no stub"
    REFUSED = "called the page allocator against its record of frames"
    UNREADABLE = "passed an address that cannot be read"
    EXCEPTION = "raised an exception"


_STATUS_OF: Final[dict[type[HvolabError], CallStatus]] = {
    **dict.fromkeys(REFUSALS, CallStatus.REFUSED),
    **dict.fromkeys(UNREADABLE, CallStatus.UNREADABLE),
}


@dataclass(frozen=True)
class CallResult:
    """Result of a call, with what it reported on the way.

    function     the function that was called
    status       the way the call ended
    result       value of the result register if the call returned; else 0
    place        symbol and offset of the instruction that the call ended at; empty if it returned
    what         detail of the status: the exception, the function without a stub, the frame and its owner, the limit
    fault        the architecture's record of a page fault
    backtrace    active functions, innermost first: return addresses found on the stack
    disassembly  instructions around `place`, with an arrow at the one that the call ended at
    findings     messages and warnings that did not end the call, warnings with their backtrace
    """

    function: str
    status: CallStatus
    result: int = 0
    place: str = ""
    what: str = ""
    fault: Fault | None = None
    backtrace: tuple[str, ...] = ()
    disassembly: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()

    @property
    def returned(self) -> bool:
        """True if the call returned."""
        return self.status is CallStatus.RETURNED

    def __str__(self) -> str:
        if self.returned:
            return f"{self.function} returned {self.result:#x}"
        what = f": {self.what}" if self.what else ""
        fault = f": {self.fault}" if self.fault is not None else ""
        return f"{self.function} {self.status.value} at {self.place}{what}{fault}"

    def required(self) -> CallResult:
        """Return this result; raises KernelBug with the backtrace if the call did not return."""
        if self.returned:
            return self
        code = f"; {'; '.join(self.disassembly)}" if self.disassembly else ""
        raise KernelBug(str(self), where=" < ".join(self.backtrace) + code)


class CodeContext(NamedTuple):
    """Position of running code: VA of an instruction, 0 for none, and the words of the stack, innermost first."""

    va: int
    stack: Sequence[int]


class CallResultReader:
    """Reads the results of calls on one CPU, and decides where to continue after a WARN().

    findings  messages and warnings of the current or last call
    """

    def __init__(
        self,
        machine: Machine,
        loaded: LoadedKernel,
        vcpu: VirtualCpu,
        convention: CallingConvention,
        stack: Region,
        stack_top: int,
    ) -> None:
        self._machine = machine
        self._loaded = loaded
        self._kernel = loaded.kernel
        self._vcpu = vcpu
        self._exceptions, self._family = vcpu.exceptions, vcpu.family
        self._convention = convention
        self._counter, self._stack = map(vcpu.register, (convention.counter, convention.stack))
        self._link = vcpu.register(convention.link) if convention.link else None
        self._stack_region, self._stack_top = stack, stack_top
        pages = machine.memory.frames * machine.struct_pages.layout.size >> machine.target.mode.page_shift
        self._max_warnings = _WARNINGS + _WARNINGS_PER_PAGE * pages
        self._warned: Counter[str] = Counter()
        self.findings: list[str] = []

    def begin(self) -> None:
        """Discard the state of the last call."""
        self._exceptions.clear()
        self._warned.clear()
        self.findings.clear()

    def after_warning(self, failure: str) -> int | None:
        """Record the WARN() that the CPU stopped at and return the VA after it; None if it stopped at none.

        failure  the emulator's error text; empty if it reported none

        Kernel: handle_bug() in arch/x86/kernel/traps.c, handle_break() in arch/riscv/kernel/traps.c, bug_brk_handler()
        in arch/arm64/kernel/traps.c, v6.12.
        """
        number = self._exceptions.number
        if number in self._family.page_faults or (number is None and not failure):
            return None
        va = self._stopped_at()
        entry = bug_table_of(self._kernel).at(va)
        code = self._bug_instruction(va)[0]
        if entry is None or not entry.warning or not code or self._warned.total() == self._max_warnings:
            return None
        source = f" ({entry.source})" if entry.source else ""
        warning = " < ".join((f"WARN at {self._kernel.describe(va)}{source}", *self._backtrace(va)))
        if warning not in self._warned:
            self.findings.append(warning)
        self._warned[warning] += 1
        self._exceptions.clear()
        return va + len(code)

    def context(self) -> CodeContext:
        """Return the position of the code now, which :meth:`places` reads when it is needed."""
        va: int = self._vcpu.uc.reg_read(self._counter)
        return CodeContext(0, ()) if va == self._loaded.exit else CodeContext(va, self._stacked(va))

    def places(self, context: CodeContext) -> tuple[str, ...]:
        """Return the functions that ran, innermost first, with file and line where an object has them.

        Empty where the call had returned.
        """
        if not context.va:
            return ()
        return (place_of(self._kernel, context.va), *return_addresses(self._kernel, context.stack))

    def stopped(self, function: str, failure: str, problem: HvolabError | None, instructions: int) -> CallResult:
        """Return the result of a call that did not return.

        failure       the emulator's error text; empty if it reported none
        problem       error of a handler of a function that it called; None: there is none
        instructions  limit at which the call was stopped, if nothing else ended it; 0: there is none
        """
        exceptions = self._exceptions
        va = self._stopped_at()
        backtrace = self._backtrace(va)
        number, syndrome, absent = exceptions.number, exceptions.syndrome, exceptions.hole
        exceptions.clear()
        if absent is not None:
            self._machine.memory.offset(absent)  # raises AbsentMemoryError
        fault = None
        if problem is not None:
            status, what = _STATUS_OF.get(type(problem), CallStatus.STOPPED), problem.what
            what += f" ({problem.where})" if problem.where else ""
        elif number in self._family.page_faults:
            fault = self._fault(syndrome)
            va = dict(fault.syndrome).get("sepc", va)
            status, what = CallStatus.FAULT, ""
        elif number is not None or failure:
            status, what = self._trap(va, failure or f"exception {number}")
        else:
            limit = f"after {instructions:,} instructions" if instructions else "by the watchdog"
            status, what = CallStatus.STUCK, f"stopped {limit}"
        place = place_of(self._kernel, va)
        return CallResult(
            function,
            status,
            place=place,
            what=what,
            fault=fault,
            backtrace=(place, *backtrace),
            disassembly=instructions_around(self._kernel, va),
            findings=self.counted_findings(),
        )

    def counted_findings(self) -> tuple[str, ...]:
        """Return each finding once, a repeated warning with its count."""
        warned = self._warned
        return tuple(f"{text}, {warned[text]} times" if warned[text] > 1 else text for text in self.findings)

    def _fault(self, syndrome: Any) -> Fault:
        va = dict(syndrome)[self._family.address_register]
        tables = self._loaded.tables if self._loaded.holds(va) else self._machine.tables
        return FaultRecords(tables, 0).of(_ACCESSES, va, syndrome)

    def _stopped_at(self) -> int:
        """Return the VA of the instruction that the CPU stopped at."""
        va: int = self._vcpu.uc.reg_read(self._counter)
        return va if self._exceptions.number is None else va - self._family.counter_offset

    def _bug_instruction(self, va: int) -> tuple[bytes, str]:
        """Return the instruction of BUG() and WARN() at `va` and its mnemonic; both empty for another instruction."""
        loaded = self._loaded
        for code, name in self._convention.bugs:
            inside = loaded.image.va <= va < loaded.image.end
            if inside and loaded.memory.view(loaded.pa(va), len(code)).tobytes() == code:
                return code, name
        return b"", ""

    def _trap(self, va: int, exception: str) -> tuple[CallStatus, str]:
        """Classify an exception at `va`. Without a bug table every trap instruction counts as a BUG()."""
        name = self._bug_instruction(va)[1]
        if not name:
            return CallStatus.EXCEPTION, exception
        table = bug_table_of(self._kernel)
        entry = table.at(va)
        if entry is None:
            return (CallStatus.EXCEPTION, f"{name}, not in the bug table") if table.known else (CallStatus.BUG, name)
        if entry.warning:
            return CallStatus.STUCK, f"stopped after {self._max_warnings:,} warnings"
        return CallStatus.BUG, f"{name}, {entry.source}" if entry.source else name

    def _backtrace(self, va: int) -> tuple[str, ...]:
        """Return the callers of the function at `va`, where the CPU stopped."""
        stack = self._vcpu.uc.reg_read(self._stack)
        if not self._stack_region.va <= stack <= self._stack_region.end:
            return ("the stack pointer is outside the stack",)
        return return_addresses(self._kernel, self._stacked(va))

    def _stacked(self, va: int) -> list[int]:
        """Return the words of the stack, innermost first, after the return address of the function at `va`."""
        loaded, uc = self._loaded, self._vcpu.uc
        stack = uc.reg_read(self._stack)
        if not self._stack_region.va <= stack <= self._stack_region.end:
            return []
        size = self._stack_top - stack
        words: list[int] = loaded.memory.word_view(loaded.pa(stack & -WORD_BYTES), max(0, size) // WORD_BYTES).tolist()
        if self._link is not None:
            link = uc.reg_read(self._link)
            if self._function(link) != self._function(va):  # else it is left from a finished call of this function
                words.insert(0, link)
        return words

    def _function(self, va: int) -> str:
        return self._kernel.describe(va).partition("+")[0]
