"""An emulated CPU that carries out a kernel's own functions beside a machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Final

from hvolab.arch import Access, Fault
from hvolab.machine import Machine
from hvolab_kernel.kernel import Kernel
from hvolab_kernel.stand_ins import PlacedStandIn, stand_ins_of
from hvolab_unicorn import instance
from hvolab_unicorn.faults import FaultRecords
from hvolab_unicorn.library import Registers, unicorn
from hvolab_unicorn.vcpu import VirtualCpu

from .answers import Answers, CannotAnswer, Carried
from .backtrace import return_addresses
from .calling import convention_of
from .outcome import Ending, Outcome
from .placing import PlacedKernel
from .watching import EntryWatch

#: Microseconds that a call may take before it is stopped. Restoring 1 GiB takes less than one second.
_TIME_LIMIT: Final = 60_000_000
_WORD: Final = 8
#: Kernel: the variable behind vm.hugetlb_optimize_vmemmap, v6.12.
_SWITCH: Final = "vmemmap_optimize_enabled"
_MASK: Final = (1 << 64) - 1
_ACCESSES: Final = (Access.READ, Access.WRITE, Access.EXECUTE)
#: The stack of a call begins so many bytes below the end of its room, and is aligned to 16 bytes there.
_HEADROOM: Final = 0x100


class KernelCpu:
    """Calls functions of one kernel, on one CPU beside one machine.

    The CPU has a TLB of its own. What a call reaches through the direct map and the vmemmap is the machine's memory;
    what lies outside HVO is answered by the machine, as the table of stand-ins says.

    placed    the kernel in its memory
    time      microseconds after which a call is stopped
    """

    def __init__(self, machine: Machine, kernel: Kernel, *, time: int = _TIME_LIMIT) -> None:
        self.machine = machine
        self.kernel = kernel
        self.time = time
        self._convention = convention_of(kernel.image.machine)
        self.placed = PlacedKernel(machine, kernel)
        self._vcpu = VirtualCpu(machine, 0)
        self._exceptions, self._family = self._vcpu.exceptions, self._vcpu.family
        uc = self._uc = self._vcpu.uc
        library = unicorn()
        self._failure = library.UcError
        self._flush = (library.unicorn_const.UC_CTL_TLB_FLUSH, library.unicorn_const.UC_CTL_IO_WRITE)
        if machine.memory.present is not None:  # of a core: what is there is mapped as it is needed
            self._vcpu.provide_as_needed()
        memory = self.placed.memory
        uc.mem_map_ptr(memory.base, memory.size, library.unicorn_const.UC_PROT_ALL, memory.octets.ctypes.data)
        self._find_registers()
        self._registers = Registers(uc)
        self._set_up()
        self._answers = Answers(machine, weakref.proxy(self), self._registers)
        self._problem: BaseException | None = None
        self.findings: list[str] = []
        self.stand_ins = stand_ins_of(kernel)
        for one in self.stand_ins:
            self._hook(one)
        #: VA of HVO's switch, which somebody may throw while a call is under way; None: the kernel has none.
        self._switch = kernel.symbols.find(_SWITCH)
        self._switched = True
        #: Whether stores to page tables are told to listeners, which makes every store slow while there are any.
        self.watching = True
        self.watch = EntryWatch(machine, uc)
        self._clean = uc.context_save()

    def _find_registers(self) -> None:
        number, convention = self._vcpu.register, self._convention
        self.arguments = tuple(map(number, convention.arguments))
        self._result, self._counter, self._stack = map(
            number, (convention.result, convention.counter, convention.stack)
        )
        self._link = number(convention.link) if convention.link else None

    def _set_up(self) -> None:
        """Set the registers: translation through the kernel's own top table, per-CPU data, the current task."""
        vcpu, uc, placed, convention = self._vcpu, self._uc, self.placed, self._convention
        for setting in vcpu.part.settings(vcpu.target, placed.root):
            instance.apply(uc, setting, vcpu.part, vcpu.family)
        if convention.per_cpu and placed.per_cpu.size:
            uc.reg_write(vcpu.register(convention.per_cpu), placed.per_cpu.va)
        if convention.current:
            uc.reg_write(vcpu.register(convention.current), self.kernel.symbols.address("init_task"))
        self._top = placed.stack.end - _HEADROOM
        #: Where a call returns to: no code stands there, and the CPU is stopped before it fetches any.
        self._exit = placed.node.end - 2 * _WORD
        self.flush()

    def flush(self) -> None:
        """Forget every translation of this CPU."""
        self._uc.ctl(*self._flush)

    def switch(self) -> None:
        """Put HVO's switch where the machine has it."""
        self._switched = self.machine.optimize_enabled
        if self._switch is not None:
            self.placed.write(self._switch, 1, int(self._switched))

    # stand-ins

    def _hook(self, one: PlacedStandIn) -> None:
        """Answer for a function at its entry, where an instruction that returns stands in for its code.

        Through weak references, or the emulator would hold itself.
        """
        self.placed.replace(one.va, self._convention.back)
        own = weakref.ref(self)
        answer = self._answers.method(one.stand_in)

        def entered(_: Any, __: int, ___: int, ____: object) -> None:
            cpu = own()
            if cpu is not None:
                cpu.answer(answer)

        self._add_hook(entered, one.va)

    def _add_hook(self, hear: Callable[[Any, int, int, object], None], va: int) -> None:
        kind = unicorn().unicorn_const.UC_HOOK_CODE
        type(self._uc).hook_add(weakref.proxy(self._uc), kind, hear, None, va, va)

    def answer(self, answer: Carried) -> None:
        """Carry an answer out, before the CPU returns from the function that it is for."""
        try:
            result = answer()
        except BaseException as problem:  # noqa: BLE001 - it is raised again where the call was made
            self._problem = problem
            self._uc.emu_stop()
            return
        if self.machine.optimize_enabled is not self._switched:
            self.switch()
        if result is not None:
            self._registers.write(self._result, result)

    def follow(self, va: int, hear: Callable[..., None], arguments: int = 0) -> None:
        """Let ``hear`` know whenever the CPU comes to ``va``, with so many arguments of the function there.

        Only where somebody listens to the machine, to whom it could be told.
        To be done before the first call: code that is translated already is not looked at again.
        """
        registers, read = self.arguments[:arguments], self._registers.read
        listeners = self.machine.trace.listeners

        def reached(_: Any, __: int, ___: int, ____: object) -> None:
            if listeners:
                hear(*map(read, registers))

        self._add_hook(reached, va)

    # calls

    def call(self, function: str, *arguments: int) -> Outcome:
        """Call a function of the kernel with up to four arguments.

        Raises SymbolError for a name that the kernel does not have, and what the machine raises where it is asked
        for something that it cannot give.
        """
        va = self.kernel.symbols.address(function)
        uc, write = self._uc, self._registers.write
        self._exceptions.clear()
        self._problem = None
        self.findings = []
        uc.context_restore(self._clean)
        self.flush()
        self.switch()
        top = self._top
        if self._link is None:
            top -= _WORD
            self.placed.write(top, _WORD, self._exit)
        else:
            write(self._link, self._exit)
        write(self._stack, top)
        for register, value in zip(self.arguments, arguments, strict=False):
            write(register, value)
        failure = ""
        try:
            self.watch.begin(wanted=self.watching and bool(self.machine.trace.listeners))
            uc.emu_start(va, self._exit, self.time, 0)
        except self._failure as failed:
            failure = str(failed)
        finally:
            self.watch.end()
        if self._problem is None and not failure and self._exceptions.number is None:
            at = uc.reg_read(self._counter)
            if at == self._exit:
                result = uc.reg_read(self._result)
                return Outcome(function, Ending.RETURNED, result, findings=tuple(self.findings))
        return self._ended(function, failure)

    # what went wrong

    def _ended(self, function: str, failure: str) -> Outcome:
        """Tell how a call ended that did not return."""
        uc, exceptions = self._uc, self._exceptions
        at, stack = uc.reg_read(self._counter), uc.reg_read(self._stack)
        number, problem = exceptions.number, self._problem
        syndrome, hole = exceptions.syndrome, exceptions.hole
        exceptions.clear()
        if hole is not None:
            self.machine.memory.offset(hole)  # raises: it is not there
        if problem is not None and not isinstance(problem, CannotAnswer):
            raise problem
        fault = None
        if isinstance(problem, CannotAnswer):
            ending, what = Ending.STOPPED, str(problem)
        elif number in self._family.page_faults:
            fault = self._fault(syndrome)
            ending, what = Ending.FAULT, ""
        else:
            if number is not None and self._link is not None and self._vcpu.part.emulator[0] == "UC_ARCH_RISCV":
                at -= 4  # the emulator's counter stands so far behind an exception
            if bug := self._bug(at):
                ending, what = Ending.BUG, bug
            elif number is not None or failure:
                ending, what = Ending.EXCEPTION, failure or f"exception {number}"
            else:
                ending, what = Ending.STUCK, f"it was stopped after {self.time // 1_000_000} s"
        if fault is not None:
            at = dict(fault.syndrome).get("sepc", at)
        return Outcome(
            function,
            ending,
            place=self.kernel.describe(at),
            what=what,
            fault=fault,
            backtrace=(self.kernel.describe(at), *self._backtrace(stack)),
            findings=tuple(self.findings),
        )

    def _fault(self, syndrome: Any) -> Fault:
        va = self._family.address(syndrome)
        tables = self.placed.tables if self.placed.holds(va) else self.machine.tables
        return FaultRecords(tables, 0).of(_ACCESSES, va, syndrome)

    def _bug(self, va: int) -> str:
        """What stands at the VA, if it is an instruction that BUG() is made of."""
        for code, name in self._convention.bugs:
            inside = self.placed.image.va <= va < self.placed.image.end
            if inside and self.placed.memory.view(self.placed.pa(va), len(code)).tobytes() == code:
                return name
        return ""

    def _backtrace(self, stack: int) -> tuple[str, ...]:
        placed = self.placed
        if not placed.stack.va <= stack <= placed.stack.end:
            return ("the stack pointer is not in the stack",)
        size = self._top - stack
        words = placed.memory.word_view(placed.pa(stack & -_WORD), max(0, size) // _WORD).tolist()
        if self._link is not None:
            words.insert(0, self._uc.reg_read(self._link))
        return return_addresses(self.kernel, words)
