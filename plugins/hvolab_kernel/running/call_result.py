"""How a call of a kernel's function came to its end: read from the CPU, the image's table of bugs and the stack."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from hvolab.arch import Access, Fault
from hvolab.machine import Machine
from hvolab_kernel.code.bug_table import bug_table_of
from hvolab_kernel.running.abi import CallingConvention
from hvolab_kernel.running.backtrace import return_addresses
from hvolab_kernel.running.call_status import CallResult, CallStatus
from hvolab_kernel.running.disassembly import around
from hvolab_kernel.running.handlers import NoStubError
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_unicorn.cpu.faults import FaultRecords
from hvolab_unicorn.cpu.vcpu import VirtualCpu

#: Warnings of one call before it is taken for a loop: so many for each page of the vmemmap, and some.
_WARNINGS, _WARNINGS_PER_PAGE = 64, 4
_WORD: Final = 8
_ACCESSES: Final = (Access.READ, Access.WRITE, Access.EXECUTE)


class CallResultReader:
    """Tells how calls on one CPU end, and where one goes on that only warns.

    findings  what should not have happened in the call that is under way, or was last
    """

    def __init__(
        self, machine: Machine, placed: LoadedKernel, vcpu: VirtualCpu, convention: CallingConvention, stack: int
    ) -> None:
        self._machine = machine
        self._placed = placed
        self._kernel = placed.kernel
        self._vcpu = vcpu
        self._exceptions, self._family = vcpu.exceptions, vcpu.family
        self._convention = convention
        self._counter, self._stack = map(vcpu.register, (convention.counter, convention.stack))
        self._link = vcpu.register(convention.link) if convention.link else None
        self._top = stack
        pages = machine.memory.frames * machine.struct_pages.layout.size >> machine.target.mode.page_shift
        self._most_warnings = _WARNINGS + _WARNINGS_PER_PAGE * pages
        self._warned: Counter[str] = Counter()
        self.findings: list[str] = []

    def begin(self) -> None:
        """Forget the last call."""
        self._exceptions.clear()
        self._warned.clear()
        self.findings = []

    def behind_warning(self, failure: str) -> int | None:
        """Where the CPU goes on behind a WARN() that it stands at, which is noted; None where it stands at none.

        failure  what the emulator said, where it gave up

        Kernel: handle_bug() in arch/x86/kernel/traps.c, handle_break() in arch/riscv/kernel/traps.c, bug_brk_handler()
        in arch/arm64/kernel/traps.c, v6.12.
        """
        number = self._exceptions.number
        if number in self._family.page_faults or (number is None and not failure):
            return None
        at = self._stopped_at()
        entry = bug_table_of(self._kernel).at(at)
        code = self._trap(at)[0]
        if entry is None or not entry.warning or not code or self._warned.total() == self._most_warnings:
            return None
        source = f" ({entry.source})" if entry.source else ""
        warning = " < ".join((f"WARN at {self._kernel.describe(at)}{source}", *self._backtrace(at)))
        if warning not in self._warned:
            self.findings.append(warning)
        self._warned[warning] += 1
        self._exceptions.clear()
        return at + len(code)

    def returned(self, function: str, result: int) -> CallResult:
        """The outcome of a call that returned."""
        return CallResult(function, CallStatus.RETURNED, result, findings=self._found())

    def outcome(self, function: str, failure: str, problem: BaseException | None, instructions: int) -> CallResult:
        """The outcome of a call that did not return.

        failure       what the emulator said, where it gave up
        problem       what was raised where the machine was asked; raised again unless it is NoStubError
        instructions  after how many the call was stopped, if nothing else ended it
        """
        exceptions = self._exceptions
        at = self._stopped_at()
        backtrace = self._backtrace(at)
        number, syndrome, hole = exceptions.number, exceptions.syndrome, exceptions.hole
        exceptions.clear()
        if hole is not None:
            self._machine.memory.offset(hole)  # raises: it is not there
        if problem is not None and not isinstance(problem, NoStubError):
            raise problem
        fault = None
        if problem is not None:
            ending, what = CallStatus.STOPPED, str(problem)
        elif number in self._family.page_faults:
            fault = self._fault(syndrome)
            ending, what = CallStatus.FAULT, ""
        elif number is not None or failure:
            ending, what = self._trapped(at, failure or f"exception {number}")
        else:
            ending, what = CallStatus.STUCK, f"it was stopped after {instructions:,} instructions"
        if fault is not None:
            at = dict(fault.syndrome).get("sepc", at)
        place = self._kernel.describe(at)
        return CallResult(
            function,
            ending,
            place=place,
            what=what,
            fault=fault,
            backtrace=(place, *backtrace),
            disassembly=around(self._kernel, at),
            findings=self._found(),
        )

    def _found(self) -> tuple[str, ...]:
        """The findings; what was found more than once is told once, with how often."""
        warned = self._warned
        return tuple(f"{one}, {warned[one]} times" if warned[one] > 1 else one for one in self.findings)

    def _fault(self, syndrome: Any) -> Fault:
        va = self._family.address(syndrome)
        tables = self._placed.tables if self._placed.holds(va) else self._machine.tables
        return FaultRecords(tables, 0).of(_ACCESSES, va, syndrome)

    def _stopped_at(self) -> int:
        """VA of the instruction that the CPU stands at."""
        at: int = self._vcpu.uc.reg_read(self._counter)
        if self._exceptions.number is not None and self._vcpu.part.emulator[0] == "UC_ARCH_RISCV":
            at -= 4  # the emulator's counter stands so far behind an exception
        return at

    def _trap(self, va: int) -> tuple[bytes, str]:
        """The instruction at the VA and its name, if it is one that BUG() and WARN() are made of; else empty."""
        placed = self._placed
        for code, name in self._convention.bugs:
            inside = placed.image.va <= va < placed.image.end
            if inside and placed.memory.view(placed.pa(va), len(code)).tobytes() == code:
                return code, name
        return b"", ""

    def _trapped(self, va: int, raised: str) -> tuple[CallStatus, str]:
        """What an exception at the VA is. Without the kernel's table of bugs any trap is taken for a BUG()."""
        name = self._trap(va)[1]
        if not name:
            return CallStatus.EXCEPTION, raised
        table = bug_table_of(self._kernel)
        entry = table.at(va)
        if entry is None:
            return (CallStatus.EXCEPTION, f"{name}, which is no BUG()") if table.known else (CallStatus.BUG, name)
        if entry.warning:
            return CallStatus.STUCK, f"it was stopped after {self._most_warnings:,} warnings"
        return CallStatus.BUG, f"{name}, {entry.source}" if entry.source else name

    def _backtrace(self, at: int) -> tuple[str, ...]:
        """The functions that are under way, but for the one that the CPU stands in, at ``at``."""
        placed, uc = self._placed, self._vcpu.uc
        stack = uc.reg_read(self._stack)
        if not placed.stack.va <= stack <= placed.stack.end:
            return ("the stack pointer is not in the stack",)
        size = self._top - stack
        words = placed.memory.word_view(placed.pa(stack & -_WORD), max(0, size) // _WORD).tolist()
        if self._link is not None:
            link = uc.reg_read(self._link)
            if self._function(link) != self._function(at):  # else it is behind a call of this function that has ended
                words.insert(0, link)
        return return_addresses(self._kernel, words)

    def _function(self, va: int) -> str:
        return self._kernel.describe(va).partition("+")[0]
