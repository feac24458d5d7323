# SPDX-License-Identifier: GPL-2.0-only
"""Emulated CPU that runs a kernel's own functions on a machine's memory."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Machine
from hvolab_kernel.code.instructions import function_end
from hvolab_kernel.code.stubs import StubAction, inline_of, stubs_of
from hvolab_kernel.running.abi import convention_of
from hvolab_kernel.running.call_result import (
    REFUSALS,
    UNREADABLE,
    CallResult,
    CallResultReader,
    CallStatus,
    CodeContext,
)
from hvolab_kernel.running.handlers import NOTHING, BoundHandler, Handlers, NoStubError
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_kernel.running.watchpoint import PageTableWatchpoint
from hvolab_unicorn.cpu import instance
from hvolab_unicorn.cpu.vcpu import VirtualCpu
from hvolab_unicorn.emulator.interrupts import start
from hvolab_unicorn.emulator.library import Registers, call_at, unicorn
from hvolab_vmlinux.kernel import Kernel

#: Limit of instructions in a call: a constant, and more for each page of the machine's vmemmap.
#: A list of all possible folios visits each of those pages, and restoring one page takes about two thousand.
_INSTRUCTIONS, _PER_PAGE = 1 << 24, 1 << 14
#: Kernel: static_key.enabled, an atomic_t, v6.12.
_KEY_SIZE: Final = 4
#: Kernel: the variable behind vm.hugetlb_optimize_vmemmap, v6.12.
SWITCH: Final = "vmemmap_optimize_enabled"
#: Bytes between the top of the stack region and the first frame, which is aligned to 16 bytes.
_HEADROOM: Final = 0x100


@dataclass(slots=True)
class _State:
    """State shared between emulator callbacks and `call()`.

    problem   the exception that a callback raised
    switched  value of HVO's switch in the kernel's memory
    """

    problem: BaseException | None = None
    switched: bool = True


class KernelCpu:
    """One CPU, with a TLB of its own, that calls functions of one kernel on one machine.

    Through the direct map and the vmemmap a call reaches the machine's memory. Calls out of HVO are handled by the
    machine, as the table of stubs says.

    loaded        the kernel in its memory
    processor     the CPU's own parts of it
    inline        the instructions of HVO's code that have a handler
    index         number of the CPU
    instructions  limit after which a call is stopped (default: far above any call that ends)
    watch_page_tables  emit an event for each store to a page table; makes every store slow while there are listeners
    """

    def __init__(
        self,
        machine: Machine,
        kernel: Kernel,
        *,
        instructions: int | None = None,
        index: int = 0,
        loaded: LoadedKernel | None = None,
    ) -> None:
        """Load the kernel, or share one that is ``loaded`` with the machine's other CPUs."""
        self.machine = machine
        self.kernel = kernel
        pages = machine.memory.frames * machine.struct_pages.layout.size >> machine.target.mode.page_shift
        self.instructions = _INSTRUCTIONS + _PER_PAGE * pages if instructions is None else instructions
        self.watch_page_tables = True
        self._convention = convention_of(kernel.image.machine)
        self.loaded = LoadedKernel(machine, kernel) if loaded is None else loaded
        self.processor = self.loaded.processors[index]
        self._vcpu = VirtualCpu(machine, index)
        uc = self._uc = self._vcpu.uc
        library = unicorn()
        self._failure = library.UcError
        self._flush = partial(uc.ctl, library.unicorn_const.UC_CTL_TLB_FLUSH, library.unicorn_const.UC_CTL_IO_WRITE)
        if machine.memory.present is not None:  # memory of a core is mapped on first use
            self._vcpu.provide_as_needed()
        memory = self.loaded.memory
        uc.mem_map_ptr(memory.base, memory.size, library.unicorn_const.UC_PROT_ALL, memory.octets.ctypes.data)
        self._set_up()
        self._registers = Registers(uc)
        self._results = CallResultReader(
            machine, self.loaded, self._vcpu, self._convention, self.processor.stack, self._stack_top
        )
        self._findings = self._results.findings
        self._handlers = Handlers(
            machine, machine.cpus[index], self.loaded, self._registers, self._arguments, self._flush, self._findings
        )
        self._state = _State()
        #: Callbacks, which the emulator does not keep alive.
        self._callbacks: list[object] = []
        #: VAs of functions that were called, by name: a search takes as long as a short call.
        self._entries: dict[str, int] = {}
        #: VA of HVO's switch, which may change during a call; None: the kernel has none.
        self._switch = kernel.symbols.find(SWITCH)
        self.inline = inline_of(kernel)
        self._install_handlers()
        self._watchpoint = PageTableWatchpoint(machine, uc)
        #: Errors of handlers and listeners that are the result of a call; a core may lack memory that is there.
        self._endings = (NoStubError, *REFUSALS, *(UNREADABLE if machine.memory.present is None else ()))
        self._clean = uc.context_save()

    def _set_up(self) -> None:
        """Set the registers: translation through the kernel's own top table, per-CPU data, the current task."""
        vcpu, uc, loaded, convention = self._vcpu, self._uc, self.loaded, self._convention
        number = vcpu.register
        self._arguments = tuple(map(number, convention.arguments))
        self._result, self._counter, self._stack = map(
            number, (convention.result, convention.counter, convention.stack)
        )
        self._link = number(convention.link) if convention.link else None
        instance.apply(uc, vcpu.part.settings(vcpu.target, loaded.root), vcpu.family)
        if convention.per_cpu:
            uc.reg_write(number(convention.per_cpu), self.processor.offset)
        if convention.current:
            uc.reg_write(number(convention.current), self.processor.task)
        self._stack_top = self.processor.stack.end - _HEADROOM
        self._exit = loaded.exit
        self._flush()

    @property
    def inline_ceiling(self) -> int | None:
        """Bytes of the longest range that the code flushes page by page; None: it flushes by function calls."""
        if not any(one.stub.action is StubAction.FLUSHES_DONE for one in self.inline):
            return None
        mode = self.machine.target.mode
        return self._vcpu.part.ceiling(mode) * mode.page_size

    def _copy_switch(self) -> None:
        """Copy the machine's switch into the kernel's memory."""
        self._state.switched = self.machine.optimize_enabled
        if self._switch is not None:
            self.loaded.write(self._switch, 1, int(self._state.switched))

    def _copy_key(self) -> None:
        """Copy the machine's static key into the kernel's memory: inline code increments it from 0 up only."""
        if self._handlers.key is not None:
            self.loaded.write(self._handlers.key, _KEY_SIZE, self.machine.key % (1 << 8 * _KEY_SIZE))

    # handlers

    def _install_handlers(self) -> None:
        """Install a handler at the entry of each function with a stub, and at each instruction that needs one.

        The function's code is replaced by an instruction that returns. A function that does nothing returns 0 without
        a handler, if it has room for that: an emulator's callback takes as long as hundreds of instructions.
        """
        zero = self._convention.returning_zero
        for function in stubs_of(self.kernel):
            room = function_end(self.kernel, function.va) - function.va
            if function.stub.action in NOTHING and room >= len(zero):
                self.loaded.replace(function.va, zero)
                continue
            self.loaded.replace(function.va, self._convention.returning)
            self._handle_at(function.va, self._handlers.for_function(function.stub))
        for instruction in self.inline:
            registers = [None if name is None else self._vcpu.register(name) for name in instruction.registers]
            handler = self._handlers.for_instruction(instruction.stub, registers)
            self._handle_at(instruction.va, handler, inside=True)

    def _handle_at(self, va: int, handler: BoundHandler, *, inside: bool = False) -> None:
        """Call a handler before the instruction at `va` executes; `inside`: also if no basic block begins there.

        Block hooks are preferred: the emulator tests every instruction hook at each counted instruction.
        """
        state, machine, write, register = self._state, self.machine, self._registers.write, self._result
        copy_switch = weakref.WeakMethod(self._copy_switch)  # not the CPU, which holds this callback

        def handle() -> None:
            result = handler()
            if machine.optimize_enabled is not state.switched and (copy := copy_switch()) is not None:
                copy()
            if result is not None:
                write(register, result)

        self._call_at(va, handle, inside=inside)

    def trace_at(self, va: int, callback: Callable[..., None], arguments: int = 0) -> None:
        """Call `callback` with that many arguments of the function whenever the CPU reaches `va`.

        A basic block must begin at `va`: the entry of a function, or the return from a call. Nothing is called while
        the machine's trace has no listeners. Must precede the first call: translated code is not hooked later.
        """
        values = self._registers.reader(self._arguments[:arguments])
        listeners = self.machine.trace.listeners
        self._call_at(va, lambda: callback(*values()) if listeners else None)

    def _call_at(self, va: int, callback: Callable[[], None], *, inside: bool = False) -> None:
        """Call `callback` whenever the CPU reaches `va`; an exception stops the CPU, and `call()` raises it again."""
        state, stop = self._state, self._uc.emu_stop

        def reached() -> None:
            try:
                callback()
            except BaseException as problem:  # noqa: BLE001 - call() raises it again
                state.problem = problem
                stop()

        self._callbacks.append(call_at(self._uc, va, reached, inside=inside))

    # calls

    def call(self, function: str, *arguments: int) -> CallResult:
        """Call a function of the kernel with up to six arguments.

        A double free, a free of part of a block, or an address where nothing is mapped ends the call. Raises
        SymbolError for a name that the kernel does not have, and the machine's other errors from handlers.
        """
        va = self._entries.get(function)
        if va is None:
            va = self._entries[function] = self.kernel.symbols.address(function)
        self._prepare(arguments)
        failure = self._run(va)
        problem = self._state.problem
        if problem is not None and not isinstance(problem, self._endings):
            raise problem
        completed = problem is None and not failure and self._vcpu.exceptions.number is None
        if completed and self._uc.reg_read(self._counter) == self._exit:
            if self._handlers.pending:
                self._findings.append("TLB flushes were begun, and no barrier completed them")
            value = self._uc.reg_read(self._result)
            return CallResult(function, CallStatus.RETURNED, value, findings=self._results.counted_findings())
        return self._results.stopped(function, failure, problem, self.instructions)

    def fail_atomic(self, *, fails: bool) -> None:
        """Let objects that are allocated without reclaim fail from now on, or not."""
        self._handlers.atomic_fails = fails

    def report(self, text: str) -> None:
        """Add a finding to those of the current call, once; for a handler or a listener of events."""
        if text not in self._findings:
            self._findings.append(text)

    def under_way(self) -> tuple[str, ...]:
        """Return the functions that run now, innermost first; for a handler or a listener of events."""
        return self.places(self.context())

    def context(self) -> CodeContext:
        """Return where the code is now, for :meth:`places`: to take it costs microseconds."""
        return self._results.context()

    def places(self, context: CodeContext) -> tuple[str, ...]:
        """Return the functions that ran, innermost first, with file and line where an object has them."""
        return self._results.places(context)

    def run_queued(self) -> list[CallResult]:
        """Run the work items that calls have queued, oldest first, and those that they queue; return their results.

        Kernel: process_one_work() in kernel/workqueue.c, v6.12.
        """
        queued, results = self._handlers.queued, []
        offset = self.kernel.types.offset("work_struct", "func")
        while queued:
            work = queued.pop(0)
            function = self.kernel.describe(self.loaded.read(work + offset, WORD_BYTES))
            results.append(self.call(function, work))
        return results

    def _prepare(self, arguments: tuple[int, ...]) -> None:
        """Reset the CPU, and set switch, static key, return address and arguments for a call."""
        write = self._registers.write
        self._state.problem = None
        self._results.begin()
        self._handlers.pending.clear()
        self._handlers.object_bytes = 0
        self._uc.context_restore(self._clean)
        self._flush()
        self._copy_switch()
        self._copy_key()
        top = self._stack_top
        if self._link is None:
            top -= WORD_BYTES
            self.loaded.write(top, WORD_BYTES, self._exit)
        else:
            write(self._link, self._exit)
        write(self._stack, top)
        for register, value in zip(self._arguments, arguments, strict=False):
            write(register, value)

    def _run(self, va: int) -> str:
        """Run from `va`, continuing after each WARN(); return the emulator's error text, or empty."""
        begin: int | None = va
        failure = ""
        try:
            self._watchpoint.begin(enable=self.watch_page_tables and bool(self.machine.trace.listeners))
            while begin is not None:
                failure = ""
                try:
                    # always with a limit: code translated without one would not be counted later
                    start(self._uc, begin, self._exit, self.instructions)
                except self._failure as failed:
                    failure = str(failed)
                begin = None if self._state.problem is not None else self._results.after_warning(failure)
        finally:
            self._watchpoint.end()
        return failure
