"""An emulated CPU that carries out a kernel's own functions beside a machine."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Final

from hvolab.machine import Machine
from hvolab_kernel.code.inline import inline_of
from hvolab_kernel.code.stubs import PlacedStub, StubAction, stubs_of
from hvolab_kernel.running.abi import convention_of
from hvolab_kernel.running.call_result import CallResultReader
from hvolab_kernel.running.call_status import CallResult
from hvolab_kernel.running.handlers import BoundHandler, Handlers
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_kernel.running.watchpoint import PageTableWatchpoint
from hvolab_unicorn.cpu import instance
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.library import Registers, call_at, unicorn
from hvolab_vmlinux.kernel import Kernel

#: Instructions that a call may take before it is stopped: so many, and so many for each page of the machine's vmemmap.
#: A list of all folios that there can be visits each of those pages, and restoring one takes some two thousand.
_INSTRUCTIONS, _PER_PAGE = 1 << 24, 1 << 14
_WORD: Final = 8
#: Kernel: static_key.enabled, an atomic_t, v6.12.
_KEY_SIZE: Final = 4
#: Kernel: the variable behind vm.hugetlb_optimize_vmemmap, v6.12.
_SWITCH: Final = "vmemmap_optimize_enabled"
_MASK: Final = (1 << 64) - 1
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
        self._convention = convention_of(kernel.image.machine)
        self.placed = LoadedKernel(machine, kernel)
        self._vcpu = VirtualCpu(machine, 0)
        self._exceptions = self._vcpu.exceptions
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
        self._endings = CallResultReader(machine, self.placed, self._vcpu, self._convention, self._top)
        self._answers = Handlers(machine, weakref.proxy(self), self._registers)
        self._state = _State()
        #: What the emulator calls back, which it does not hold.
        self._callbacks: list[object] = []
        self.stubs = stubs_of(kernel)
        for one in self.stubs:
            self._hook(one)
        self.inline = inline_of(kernel)
        for instruction in self.inline:
            registers = [None if name is None else self._vcpu.register(name) for name in instruction.registers]
            answer = self._answers.inline(instruction.stub, registers)
            self._answer_at(instruction.va, answer, inside=True)
        #: VA of HVO's switch, which somebody may throw while a call is under way; None: the kernel has none.
        self._switch = kernel.symbols.find(_SWITCH)
        #: Whether stores to page tables are told to listeners, which makes every store slow while there are any.
        self.watching = True
        self.watch = PageTableWatchpoint(machine, uc)
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
    def findings(self) -> list[str]:
        """What should not have happened in the call that is under way, or was last."""
        return self._endings.findings

    @property
    def inline_ceiling(self) -> int | None:
        """Bytes of the longest range that the code flushes page by page; None: its flushes are calls."""
        if not any(one.stub.action is StubAction.FLUSHES_DONE for one in self.inline):
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

    def _hook(self, one: PlacedStub) -> None:
        """Answer for a function at its entry, where an instruction that returns stands in for its code."""
        self.placed.replace(one.va, self._convention.back)
        self._answer_at(one.va, self._answers.method(one.stub))

    def _answer_at(self, va: int, answer: BoundHandler, *, inside: bool = False) -> None:
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

    def call(self, function: str, *arguments: int) -> CallResult:
        """Call a function of the kernel with up to four arguments.

        Raises SymbolError for a name that the kernel does not have, and what the machine raises where it is asked
        for something that it cannot give.
        """
        va = self.kernel.symbols.address(function)
        uc, write = self._uc, self._registers.write
        self._state.problem = None
        self._endings.begin()
        self._answers.begun.clear()
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
                return self._endings.returned(function, uc.reg_read(self._result))
        return self._endings.outcome(function, failure, self._state.problem, self.instructions)

    def _run(self, va: int) -> str:
        """Run from ``va`` on, also beyond instructions that only warn; what the emulator says where it gives up."""
        begin: int | None = va
        failure = ""
        try:
            self.watch.begin(wanted=self.watching and bool(self.machine.trace.listeners))
            while begin is not None:
                failure = self._start(begin)
                begin = None if self._state.problem is not None else self._endings.behind_warning(failure)
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
