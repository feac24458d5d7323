# SPDX-License-Identifier: GPL-2.0-only
"""CPU that runs a kernel's code under the explorer: it stops before chosen instructions, and reports its accesses."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hvolab.arithmetic import WORD_BYTES, WORD_SHIFT
from hvolab_explorer.world.machine import ExploredMachine
from hvolab_kernel.code.instructions import Operand
from hvolab_kernel.interleaving.accesses import Known
from hvolab_kernel.interleaving.operands import operands_at
from hvolab_kernel.running.call_result import CallResult, CallStatus
from hvolab_kernel.running.handlers import BoundHandler
from hvolab_kernel.running.kernel_cpu import KernelCpu
from hvolab_kernel.running.loader import LoadedKernel
from hvolab_unicorn.emulator.errors import EmulatorError
from hvolab_unicorn.emulator.library import Accessed, AccessHook, translate, unicorn
from hvolab_vmlinux.kernel import Kernel

#: Called with PA and bytes of an access, and whether it stores.
Touch = Callable[..., None]
#: Called with the VA and PA that a page is copied to, and those that it is copied from.
Copies = Callable[[int, int, int, int], bool]
#: The last PA that a hook can have.
_LAST_PA = (1 << 63) - 1
_ADDRESSES = 1 << 64
#: A call of a schedule takes some milliseconds, however many CPUs there are.
_TICKS = 60


class InterleavedCpu(KernelCpu):
    """One of several CPUs of a loaded kernel.

    emptied  called when a call has emptied its TLB
    faulted  called with the VA of a fault, and the VA of its instruction
    ticks    ticks of the watchdog after which a call is stopped, the time of other CPUs included
    """

    def __init__(self, machine: ExploredMachine, kernel: Kernel, index: int, loaded: LoadedKernel) -> None:
        # without a limit of instructions, which would count each of them
        super().__init__(machine, kernel, instructions=0, index=index, loaded=loaded)
        self._scheduler = machine.scheduler
        self.watch_page_tables = False
        self.ticks = _TICKS
        self.emptied: Callable[[], None] | None = None
        self.faulted: Callable[[int, int], None] | None = None
        self._stops: set[int] = set()
        stack, shift = self.processor.stack, machine.target.mode.page_shift
        self._looked_at = set(range(stack.pa >> shift, stack.pa + stack.size >> shift))  # its own stack never is
        self._first = self._registers.reader(self._arguments[:1])
        self._operands: dict[int, tuple[Callable[[], int], ...]] = {}
        self._reports: list[AccessHook] = []
        self._copying = False
        self._returns: set[int] = set()

    def _copy_switch(self) -> None:
        """Copy the machine's switch before a schedule; within one its writer does."""
        if not self._scheduler.active:
            super()._copy_switch()

    def _handle_at(self, va: int, handler: BoundHandler, *, inside: bool = False) -> None:
        """Call a handler before the instruction at `va` executes."""
        write, register = self._registers.write, self._result

        def handle() -> None:
            result = handler()
            if result is not None:
                write(register, result)

        self._call_at(va, handle, inside=inside)

    def _prepare(self, arguments: tuple[int, ...]) -> None:
        super()._prepare(arguments)
        self._report_again()  # a call may have ended within a copy
        if self.emptied is not None:
            self.emptied()

    def call(self, function: str, *arguments: int) -> CallResult:
        """Call a function of the kernel, as :meth:`KernelCpu.call`; report warnings, and pass on the VA of a fault."""
        result = super().call(function, *arguments)
        if self._copying and result.status is CallStatus.RETURNED:
            raise EmulatorError("the emulator did not report that a function which copies a page has returned")
        for text in result.findings:
            self._scheduler.report(f"CPU{self.processor.number}: {text}")
        if result.fault is not None and self.faulted is not None:
            self.faulted(result.fault.va, self._results.context().va)
        return result

    def _run(self, va: int) -> str:
        with self._vcpu.watched(self.ticks):
            return super()._run(va)

    def flush(self) -> None:
        """Empty the emulator's TLB."""
        self._flush()

    def counter(self) -> Callable[[], int]:
        """Return a function that reads the program counter."""
        read = self._registers.reader((self._counter,))
        return lambda: read()[0]

    def on_access(self, touch: Touch, known: tuple[Known, Known]) -> None:
        """Call `touch` at each load from the machine's RAM and each store outside of the CPU's own stack.

        Must precede the first call.
        known  loads, and stores, that are not reported
        """
        stack = self.processor.stack
        self._on_load = self._guarded(touch, known[False], stores=False)
        stored = self._guarded(touch, known[True], stores=True)
        self._reports.append(AccessHook(self._uc, 0, self.loaded.memory.base - 1, self._on_load, stores=False))
        for first, last in ((0, stack.pa - 1), (stack.pa + stack.size, _LAST_PA)):
            self._reports.append(AccessHook(self._uc, first, last, stored, stores=True))

    def on_loads(self, frames: Iterable[int]) -> None:
        """Report loads from these frames of the kernel's memory too, from the next call on."""
        shift = self.machine.target.mode.page_shift
        new = sorted(set(frames) - self._looked_at)
        for frame in new:
            last = (frame + 1 << shift) - 1
            self._callbacks.append(AccessHook(self._uc, frame << shift, last, self._on_load, stores=False))
        self._looked_at.update(new)

    def on_copy(self, va: int, *, sized: bool, reached: Callable[[], None], copies: Copies) -> None:
        """Report the copy of a page by the function at `va` at once, instead of each load and store.

        sized    whether the function has the bytes as its third argument; otherwise it copies a page
        reached  called first: the function of :meth:`stop_before` for the VA
        copies   called with the VAs that are copied to and from, and their PAs; False: each access is to be reported
        """
        self._stops.add(va)
        size, read = self.machine.target.mode.page_size, self._registers.reader(self._arguments[:3])
        kinds, uc = unicorn().unicorn_const, self._uc

        def begins() -> None:
            """Report the copy that is about to begin, if it is that of a page."""
            reached()
            to_va, from_va, count = read()
            if self._copying or (sized and count != size) or to_va % size or from_va % size:
                return
            source = translate(uc, from_va, kinds.UC_PROT_READ)
            destination = None if source is None else translate(uc, to_va, kinds.UC_PROT_WRITE)
            if source is not None and destination is not None and copies(to_va, destination, from_va, source):
                self._leave_out()

        self._call_at(va, begins, inside=True)

    def _leave_out(self) -> None:
        """Report no access until the function that begins here has returned."""
        self._copying = True
        for hook in self._reports:
            hook.remove()
        read = self._uc.reg_read
        link, stack = self._link, self._stack
        va = read(link) if link is not None else self.loaded.read(read(stack), WORD_BYTES)
        if va not in self._returns:
            self._returns.add(va)
            self._call_at(va, self._report_again, inside=True)
            self._uc.ctl_remove_cache(va, va + 1)

    def _report_again(self) -> None:
        if self._copying:
            self._copying = False
            for hook in self._reports:
                hook.add()

    def _guarded(self, touch: Touch, known: Known, *, stores: bool) -> Accessed:
        state, stop, shift = self._state, self._uc.emu_stop, self.machine.target.mode.page_shift
        frames, settled, words, shared, locks = known.frames, known.settled, known.words, known.shared, known.locks

        def accessed(_uc: object, _kind: int, pa: int, size: int) -> None:
            frame = pa >> shift
            if pa + size - 1 >> shift == frame:
                if frame in frames:
                    return
                if frame in settled and pa % WORD_BYTES + size <= WORD_BYTES:
                    word = pa >> WORD_SHIFT
                    if word not in shared and word not in locks:
                        words.add(word)
                        return
            try:
                touch(pa, size, stores=stores)
            except BaseException as problem:  # noqa: BLE001 - call() raises it again
                state.problem = problem
                stop()

        return accessed

    def addresses(self, va: int) -> tuple[Callable[[], int], ...]:
        """Return a function for each memory operand of an instruction, which computes its address now."""
        found = self._operands.get(va)
        if found is None:
            found = self._operands[va] = tuple(map(self._address_of, operands_at(self.kernel, va)))
        return found

    def _address_of(self, operand: Operand) -> Callable[[], int]:
        displacement = operand.number
        if not operand.register:
            return lambda: displacement % _ADDRESSES
        read = self._registers.reader((self._vcpu.register(operand.register.upper()),))
        return lambda: (read()[0] + displacement) % _ADDRESSES

    def stop_before(self, vas: Iterable[int], stopping: Callable[[int], Callable[[], None]]) -> None:
        """Call a function before the instruction at each of these VAs executes, from the next call on.

        stopping  returns the function for a VA
        """
        new = sorted(set(vas) - self._stops)
        for va in new:
            self._call_at(va, stopping(va), inside=True)
        self._stops.update(new)
        if new:
            self._uc.ctl_flush_tb()

    def first_argument(self) -> int:
        """Return the first argument of the function that is about to begin."""
        return self._first()[0]

    def perform(self, function: str, handler: Callable[[int], int | None]) -> None:
        """Let a handler perform a function of one argument, if the kernel has it; must precede the first call."""
        va = self.kernel.symbols.find(function)
        if va is not None:
            self.loaded.replace(va, self._convention.returning)
            self._handle_at(va, lambda: handler(self.first_argument()))

    def on_lock(self, wait: Callable[[int], None]) -> None:
        """Call `wait` with the VA of a spin lock that another CPU holds."""
        self._handlers.wait_for_lock = wait
