"""An emulated CPU that carries out a kernel's own functions beside a machine."""

from __future__ import annotations

import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from hvolab.arch import Access, Fault
from hvolab.machine import Machine
from hvolab_kernel.bug_table import bug_table_of
from hvolab_kernel.inline import inline_of
from hvolab_kernel.kernel import Kernel
from hvolab_kernel.stand_ins import Answer, PlacedStandIn, stand_ins_of
from hvolab_unicorn import instance
from hvolab_unicorn.faults import FaultRecords
from hvolab_unicorn.library import Registers, call_at, unicorn
from hvolab_unicorn.vcpu import VirtualCpu

from .answers import Answers, CannotAnswer, Carried
from .backtrace import return_addresses
from .calling import convention_of
from .disassembly import around
from .outcome import Ending, Outcome
from .placing import PlacedKernel
from .watching import EntryWatch

#: Instructions that a call may take before it is stopped: so many, and so many for each page of the machine's vmemmap.
#: A list of all folios that there can be visits each of those pages, and restoring one takes some two thousand.
_INSTRUCTIONS, _PER_PAGE = 1 << 24, 1 << 14
#: Warnings of one call before it is taken for a loop: so many for each page of the vmemmap, and some.
_WARNINGS, _WARNINGS_PER_PAGE = 64, 4
_WORD: Final = 8
#: Kernel: static_key.enabled, an atomic_t, v6.12.
_KEY_SIZE: Final = 4
#: Kernel: the variable behind vm.hugetlb_optimize_vmemmap, v6.12.
_SWITCH: Final = "vmemmap_optimize_enabled"
_MASK: Final = (1 << 64) - 1
_ACCESSES: Final = (Access.READ, Access.WRITE, Access.EXECUTE)
#: The stack of a call begins so many bytes below the end of its room, and is aligned to 16 bytes there.
_HEADROOM: Final = 0x100


class _State:
    """What a call back leaves for whoever made the call.

    problem   what it raised
    switched  whether HVO's switch is on as the kernel sees it
    """

    __slots__ = ("problem", "switched")

    def __init__(self) -> None:
        self.problem: BaseException | None = None
        self.switched = True


class KernelCpu:
    """Calls functions of one kernel, on one CPU beside one machine.

    The CPU has a TLB of its own. What a call reaches through the direct map and the vmemmap is the machine's memory;
    what lies outside HVO is answered by the machine, as the table of stand-ins says.

    placed        the kernel in its memory
    inline        instructions of its HVO that the machine hears of
    instructions  number of them after which a call is stopped (default: far more than any that comes to its end)
    """

    def __init__(self, machine: Machine, kernel: Kernel, *, instructions: int | None = None) -> None:
        self.machine = machine
        self.kernel = kernel
        pages = machine.memory.frames * machine.struct_pages.layout.size >> machine.target.mode.page_shift
        self.instructions = _INSTRUCTIONS + _PER_PAGE * pages if instructions is None else instructions
        self._most_warnings = _WARNINGS + _WARNINGS_PER_PAGE * pages
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
        self._state = _State()
        #: What the emulator calls back, which it does not hold.
        self._callbacks: list[object] = []
        self.findings: list[str] = []
        self._warned: Counter[str] = Counter()
        self.stand_ins = stand_ins_of(kernel)
        for one in self.stand_ins:
            self._hook(one)
        self.inline = inline_of(kernel)
        for instruction in self.inline:
            registers = [None if name is None else self._vcpu.register(name) for name in instruction.registers]
            answer = self._answers.inline(instruction.stand_in, registers)
            self._answer_at(instruction.va, answer, inside=True)
        #: VA of HVO's switch, which somebody may throw while a call is under way; None: the kernel has none.
        self._switch = kernel.symbols.find(_SWITCH)
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
        self._exit = placed.exit
        self.flush()

    def flush(self) -> None:
        """Forget every translation of this CPU."""
        self._uc.ctl(*self._flush)

    @property
    def inline_ceiling(self) -> int | None:
        """Bytes of the longest range that the code flushes page by page; None: its flushes are calls."""
        if not any(one.stand_in.answer is Answer.FLUSHES_DONE for one in self.inline):
            return None
        mode = self.machine.target.mode
        return self._vcpu.part.ceiling(mode) * mode.page_size

    def switch(self) -> None:
        """Put HVO's switch where the machine has it."""
        self._state.switched = self.machine.optimize_enabled
        if self._switch is not None:
            self.placed.write(self._switch, 1, int(self._state.switched))

    def _count_key(self) -> None:
        """Let the kernel's static key count what the machine's does: where it is inline it is raised from 0 up only."""
        if self._answers.key is not None:
            self.placed.write(self._answers.key, _KEY_SIZE, self.machine.key % (1 << 8 * _KEY_SIZE))

    # stand-ins

    def _hook(self, one: PlacedStandIn) -> None:
        """Answer for a function at its entry, where an instruction that returns stands in for its code."""
        self.placed.replace(one.va, self._convention.back)
        self._answer_at(one.va, self._answers.method(one.stand_in))

    def _answer_at(self, va: int, answer: Carried, *, inside: bool = False) -> None:
        """Answer before the instruction at ``va`` is carried out; ``inside``: where no block of instructions begins.

        Blocks where it can be: each hook for an instruction is looked at for all that are counted.
        """
        state, machine = self._state, self.machine
        write, result_register, stop = self._registers.write, self._result, self._uc.emu_stop
        switch = weakref.WeakMethod(self.switch)  # not the CPU, which holds this

        def entered() -> None:
            """Hear that the CPU has come there."""
            try:
                result = answer()
                if machine.optimize_enabled is not state.switched and (thrown := switch()) is not None:
                    thrown()
                if result is not None:
                    write(result_register, result)
            except BaseException as problem:  # noqa: BLE001 - it is raised again where the call was made
                state.problem = problem
                stop()

        self._callbacks.append(call_at(self._uc, va, entered, inside=inside))

    def follow(self, va: int, hear: Callable[..., None], arguments: int = 0) -> None:
        """Let ``hear`` know whenever the CPU comes to ``va``, with so many arguments of the function there.

        A function begins there, or goes on after a call: it is where a block of instructions begins.
        Only where somebody listens to the machine, to whom it could be told.
        To be done before the first call: code that is translated already is not looked at again.
        """
        values = self._registers.reader(self.arguments[:arguments])
        listeners, state, stop = self.machine.trace.listeners, self._state, self._uc.emu_stop

        def reached() -> None:
            if listeners:
                try:
                    hear(*values())
                except BaseException as problem:  # noqa: BLE001 - as above
                    state.problem = problem
                    stop()

        self._callbacks.append(call_at(self._uc, va, reached))

    # calls

    def call(self, function: str, *arguments: int) -> Outcome:
        """Call a function of the kernel with up to four arguments.

        Raises SymbolError for a name that the kernel does not have, and what the machine raises where it is asked
        for something that it cannot give.
        """
        va = self.kernel.symbols.address(function)
        uc, write = self._uc, self._registers.write
        self._exceptions.clear()
        self._state.problem = None
        self.findings = []
        self._answers.begun.clear()
        self._warned.clear()
        uc.context_restore(self._clean)
        self.flush()
        self.switch()
        self._count_key()
        top = self._top
        if self._link is None:
            top -= _WORD
            self.placed.write(top, _WORD, self._exit)
        else:
            write(self._link, self._exit)
        write(self._stack, top)
        for register, value in zip(self.arguments, arguments, strict=False):
            write(register, value)
        failure = self._run(va)
        if self._state.problem is None and not failure and self._exceptions.number is None:
            at = uc.reg_read(self._counter)
            if at == self._exit:
                if self._answers.begun:
                    self.findings.append("TLB flushes were begun, and no barrier completed them")
                result = uc.reg_read(self._result)
                return Outcome(function, Ending.RETURNED, result, findings=self._found())
        return self._ended(function, failure)

    def _run(self, va: int) -> str:
        """Run from ``va`` on, also beyond instructions that only warn; what the emulator says where it gives up."""
        begin: int | None = va
        failure = ""
        try:
            self.watch.begin(wanted=self.watching and bool(self.machine.trace.listeners))
            while begin is not None:
                failure = self._start(begin)
                begin = self._behind_warning(failure)
        finally:
            self.watch.end()
        return failure

    def _start(self, va: int) -> str:
        try:
            # counted each time: code that was translated while nobody counted would not be counted later
            self._uc.emu_start(va, self._exit, 0, self.instructions)
        except self._failure as failed:
            return str(failed)
        return ""

    def _behind_warning(self, failure: str) -> int | None:
        """Where the CPU goes on behind a WARN() that it stands at, which is noted; None where it stands at none.

        Kernel: handle_bug() in arch/x86/kernel/traps.c, handle_break() in arch/riscv/kernel/traps.c, bug_brk_handler()
        in arch/arm64/kernel/traps.c, v6.12.
        """
        number = self._exceptions.number
        if self._state.problem is not None or number in self._family.page_faults or (number is None and not failure):
            return None
        at = self._stopped_at()
        entry = bug_table_of(self.kernel).at(at)
        code = self._trap(at)[0]
        if entry is None or not entry.warning or not code or self._warned.total() == self._most_warnings:
            return None
        backtrace = self._backtrace(at, self._uc.reg_read(self._stack))
        source = f" ({entry.source})" if entry.source else ""
        warning = " < ".join((f"WARN at {self.kernel.describe(at)}{source}", *backtrace))
        if warning not in self._warned:
            self.findings.append(warning)
        self._warned[warning] += 1
        self._exceptions.clear()
        return at + len(code)

    def _found(self) -> tuple[str, ...]:
        """The findings of a call; what was found more than once is told once, with how often."""
        warned = self._warned
        return tuple(f"{one}, {warned[one]} times" if warned[one] > 1 else one for one in self.findings)

    # what went wrong

    def _ended(self, function: str, failure: str) -> Outcome:
        """Tell how a call ended that did not return."""
        uc, exceptions = self._uc, self._exceptions
        at, stack = self._stopped_at(), uc.reg_read(self._stack)
        number, problem = exceptions.number, self._state.problem
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
        elif number is not None or failure:
            ending, what = self._trapped(at, failure or f"exception {number}")
        else:
            ending, what = Ending.STUCK, f"it was stopped after {self.instructions:,} instructions"
        if fault is not None:
            at = dict(fault.syndrome).get("sepc", at)
        return Outcome(
            function,
            ending,
            place=self.kernel.describe(at),
            what=what,
            fault=fault,
            backtrace=(self.kernel.describe(at), *self._backtrace(at, stack)),
            disassembly=around(self.kernel, at),
            findings=self._found(),
        )

    def _fault(self, syndrome: Any) -> Fault:
        va = self._family.address(syndrome)
        tables = self.placed.tables if self.placed.holds(va) else self.machine.tables
        return FaultRecords(tables, 0).of(_ACCESSES, va, syndrome)

    def _stopped_at(self) -> int:
        """VA of the instruction that the CPU stands at."""
        at: int = self._uc.reg_read(self._counter)
        if self._exceptions.number is not None and self._vcpu.part.emulator[0] == "UC_ARCH_RISCV":
            at -= 4  # the emulator's counter stands so far behind an exception
        return at

    def _trap(self, va: int) -> tuple[bytes, str]:
        """The instruction at the VA and its name, if it is one that BUG() and WARN() are made of; else empty."""
        for code, name in self._convention.bugs:
            inside = self.placed.image.va <= va < self.placed.image.end
            if inside and self.placed.memory.view(self.placed.pa(va), len(code)).tobytes() == code:
                return code, name
        return b"", ""

    def _trapped(self, va: int, raised: str) -> tuple[Ending, str]:
        """What an exception at the VA is. Without the kernel's table of bugs any trap is taken for a BUG()."""
        name = self._trap(va)[1]
        if not name:
            return Ending.EXCEPTION, raised
        table = bug_table_of(self.kernel)
        entry = table.at(va)
        if entry is None:
            return (Ending.EXCEPTION, f"{name}, which is no BUG()") if table.known else (Ending.BUG, name)
        if entry.warning:
            return Ending.STUCK, f"it was stopped after {self._most_warnings:,} warnings"
        return Ending.BUG, f"{name}, {entry.source}" if entry.source else name

    def _backtrace(self, at: int, stack: int) -> tuple[str, ...]:
        placed = self.placed
        if not placed.stack.va <= stack <= placed.stack.end:
            return ("the stack pointer is not in the stack",)
        size = self._top - stack
        words = placed.memory.word_view(placed.pa(stack & -_WORD), max(0, size) // _WORD).tolist()
        if self._link is not None:
            link = self._uc.reg_read(self._link)
            if self._function(link) != self._function(at):  # else it is behind a call of this function that has ended
                words.insert(0, link)
        return return_addresses(self.kernel, words)

    def _function(self, va: int) -> str:
        return self.kernel.describe(va).partition("+")[0]
