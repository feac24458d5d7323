"""One emulated CPU as a thing that carries out steps: an instance of unicorn over the machine's memory."""

from __future__ import annotations

import struct
import weakref
from typing import Any, NoReturn, TypeVar

from hvolab.arch import PageFault
from hvolab.arch.fields import FieldValues
from hvolab.arch.steps import BLOCK_BYTES, RECORD, RESULT, RETURN
from hvolab.errors import UsageError
from hvolab.machine import Machine
from hvolab_unicorn.cpu import instance
from hvolab_unicorn.cpu.calibration import calibrate
from hvolab_unicorn.cpu.exceptions import Exceptions
from hvolab_unicorn.cpu.faults import FaultRecords
from hvolab_unicorn.cpu.reports import describe
from hvolab_unicorn.emulator.errors import EmulatorError, GuestStuckError
from hvolab_unicorn.emulator.library import unicorn
from hvolab_unicorn.emulator.watchdog import TICKS, WATCHDOG, WORDS_PER_TICK
from hvolab_unicorn.families import family_of
from hvolab_unicorn.families.family import GuestLayout
from hvolab_unicorn.guest.area import Area, area_of
from hvolab_unicorn.guest.memory import GuestMemory
from hvolab_unicorn.guest.text import EXIT, Routine, lay_out

#: Instructions that a step may take when it is carried out first: so many, and so many for each word that it visits.
_INSTRUCTIONS, _PER_WORD = 4096, 64
_Error = TypeVar("_Error", bound=EmulatorError)
_BLOCK = struct.Struct("<8Q")
_OUTCOME = struct.Struct("<2Q")
#: Routines of each text that were carried out in this process, by the VA of their first instruction.
_TRIED: dict[bytes, set[int]] = {}


class VirtualCpu:
    """Carries out steps on one instance of unicorn.

    memory, tables, target  the machine's
    routines  the steps, by name
    exit      VA at which each of them ends
    handler  whether faults are recorded by a handler in the guest, which the emulator enters as a CPU does; else they
             are read off the emulator's state
    """

    def __init__(self, machine: Machine, index: int, *, handler: bool = False) -> None:
        part = machine.target.architecture.emulation
        if part is None:
            raise UsageError(f"{machine.target.architecture.name} declares no instructions to emulate")
        if why := part.refusal(machine.target):
            raise UsageError(f"{machine.target} cannot be emulated: {why}", hint="use the modeled CPU")
        self.index = index
        self.memory = machine.memory  # not the machine, which holds its CPUs: nothing here keeps another alive
        self.tables = machine.tables
        self.target = machine.target
        self.part = part
        self.area: Area = area_of(machine, index)
        self.family = family_of(part.emulator[0])
        self._counter = self.register(part.convention.counter)
        self._failure = unicorn().UcError
        self._library = unicorn().unicorn_const
        self._unmapped = {getattr(self._library, f"UC_ERR_{kind}_UNMAPPED") for kind in ("READ", "WRITE", "FETCH")}
        self._records = FaultRecords(machine.tables, index)
        self.uc = instance.make_instance(part, machine.target, self.family)
        guest = GuestMemory(self.uc, machine.memory, machine.tables)
        text, self.routines = lay_out(part, self.area.text_va, self.area.text_bytes)
        self.area.install(text)
        self._tried = _TRIED.setdefault(text, set())
        for va in (self.area.text_va, self.area.block):
            guest.provide_walk(va)
        self._block = self.area.view(self.area.block, BLOCK_BYTES)
        self._done = self.area.block
        self.exit = self.area.text_va + EXIT
        wait = part.sequence("wait")
        self._ended = self.exit + (0 if wait is None else len(wait.machine_code))
        #: Where the emulator is told to stop, which it looks up after each run: a page of text without any code.
        self._never = self.area.text_va + self.area.text_bytes - self.target.mode.page_size
        self.area.put_word(self.area.block + RETURN, self.exit)
        self._set_up()
        self._clean = self.uc.context_save()
        self._context = self.uc.context_save()
        self.exceptions = Exceptions(self.family, self.area, guest, self._context)
        self._hook(self._library.UC_HOOK_INTR, self.exceptions.raised)
        self._watch = WATCHDOG.watch(self.uc)
        self.offsets = calibrate(self, lambda machine: VirtualCpu(machine, 0))
        self.exceptions.find_fields(self.offsets)
        self.exceptions.handler = handler  # not before it is known where the state has what a handler is told

    def register(self, name: str) -> int:
        """Number of a register in the emulator's interface."""
        return instance.register(self.part, self.family, name)

    def _set_up(self) -> None:
        """Set the registers that switch the MMU on, those of the convention, and what the handler needs."""
        for setting in self.part.settings(self.target, self.tables.root):
            instance.apply(self.uc, setting, self.part, self.family)
        self.uc.reg_write(self.register(self.part.convention.block), self.area.block)
        layout = GuestLayout(self.area.text_va, self.area.tables, self.area.stack)
        self.family.prepare(self.uc, layout, self.area)

    def _hook(self, kind: int, callback: Any) -> int:
        """Add a hook for the time being, or for good: what it is given for the emulator holds nothing alive."""
        handle: int = type(self.uc).hook_add(weakref.proxy(self.uc), kind, callback)
        return handle

    def empty_tlb(self) -> None:
        """Empty the emulator's TLB from outside the guest."""
        self.uc.ctl(self._library.UC_CTL_TLB_FLUSH, self._library.UC_CTL_IO_WRITE)

    def provide_as_needed(self) -> None:
        """Map memory of a core whenever something is met that is not mapped: for who runs other code than steps.

        It makes every access slow.
        """
        self._hook(self._library.UC_HOOK_MEM_UNMAPPED, self.exceptions.missing)

    # steps

    def call(self, routine: Routine, a: int = 0, b: int = 0, c: int = 0, d: int = 0, *, work: int = 1) -> int:
        """Carry out a routine with these arguments and give its result.

        work  words that it visits, about: how long it may take follows from that

        The first call of a routine counts its instructions, so that a sequence that is wrong is told at once; later
        ones, which are several times as fast, are watched.
        Raises PageFault, AbsentMemoryError for memory that is not there, GuestStuckError, EmulatorError.
        """
        watch, begin = self._watch, routine.begin
        _BLOCK.pack_into(self._block, 0, a, b, c, d, 0, 0, 0, 0)
        watch.ticks = TICKS + work // WORDS_PER_TICK
        if begin not in self._tried:
            self._try(routine, work)
        else:
            self._run(routine, begin)
        result, done = _OUTCOME.unpack_from(self._block, RESULT)
        if done == self._done and watch.stopped != watch.number - 1:
            return int(result)
        return self._not_done(routine)

    def _try(self, routine: Routine, work: int) -> None:
        """Carry out a routine for the first time."""
        self._run(routine, routine.begin, _INSTRUCTIONS + _PER_WORD * work)
        exceptions = self.exceptions
        if exceptions.number is None and exceptions.hole is None and self.uc.reg_read(self._counter) != self._ended:
            raise self.stuck(routine)
        self._tried.add(routine.begin)

    def _not_done(self, routine: Routine) -> int:
        """Tell why a routine did not come to its end; carry it to its end where it was stopped for another one."""
        watch, exceptions = self._watch, self.exceptions
        while True:
            if exceptions.number is not None or exceptions.hole is not None:
                self._fail(routine)
            if watch.stopped == watch.number - 1:
                raise self.stuck(routine)
            self._run(routine, self.uc.reg_read(self._counter))
            result, done = _OUTCOME.unpack_from(self._block, RESULT)
            if done == self._done and watch.stopped != watch.number - 1:
                return int(result)

    def stuck(self, routine: Routine, why: str = "does not come to its end") -> GuestStuckError:
        """The error that tells of a routine without an end, with its instructions and registers."""
        error = self._report(GuestStuckError, f"{routine.sequence.step} {why}", routine)
        self.area.put_word(self.area.block + RETURN, self.exit)  # a guest that runs wild may have changed it
        return error

    def fetch(self, va: int) -> None:
        """Jump to ``va`` and stop before the first instruction there: raises PageFault where it cannot be fetched."""
        self._jump(va)
        exceptions = self.exceptions
        if exceptions.number is None and exceptions.hole is None:
            return
        counter = self.uc.reg_read(self._counter)
        if exceptions.number is not None and exceptions.handler and counter != self._ended:
            self.uc.emu_start(counter, self._never, 0, _INSTRUCTIONS)  # it was stopped on its way through the handler
        self._fail(self.routines["jump"])

    def _jump(self, va: int) -> None:
        routine = self.routines["jump"]
        _BLOCK.pack_into(self._block, 0, va, 0, 0, 0, 0, 0, 0, 0)
        self._run(routine, routine.begin, routine.instructions)

    def _run(self, routine: Routine, begin: int, instructions: int = 0) -> None:
        """Have the emulator go on from ``begin``, for so many instructions at most; 0: watched instead."""
        watch = self._watch
        watch.number += 1
        try:
            self.uc.emu_start(begin, self._never, 0, instructions)
        except self._failure as failed:
            if failed.errno not in self._unmapped:
                raise self._report(EmulatorError, f"{routine.sequence.step}: {failed}", routine) from failed
            self._go_on_with_holes(routine, instructions)
        finally:
            watch.number += 1

    def _go_on_with_holes(self, routine: Routine, instructions: int) -> None:
        """Go on with the instruction that met memory which is not mapped: map what there is, note what there is not.

        What came before is done, and not done again: it may have changed what it would read. Only a jump is made
        again, which changes nothing, so that nothing is executed where it leads.
        The hook for this makes every access slow, so it is there only now, in code that is translated for it.
        """
        uc = self.uc
        begin = routine.begin if routine.sequence.step == "jump" else uc.reg_read(self._counter)
        uc.ctl_flush_tb()
        handle = self._hook(self._library.UC_HOOK_MEM_UNMAPPED, self.exceptions.missing)
        try:
            uc.emu_start(begin, self._never, 0, instructions)
        except self._failure as failed:
            if self.exceptions.hole is None:
                raise self._report(EmulatorError, f"{routine.sequence.step}: {failed}", routine) from failed
        finally:
            uc.hook_del(handle)
            uc.ctl_flush_tb()

    def _fail(self, routine: Routine) -> NoReturn:
        """Raise what a routine has met."""
        number, hole = self.exceptions.number, self.exceptions.hole
        if hole is not None:
            self._restore()
            self.memory.offset(hole)  # raises: it is not there
            raise EmulatorError(f"memory at PA {hole:#x} is there, and the emulator does not see it")
        if number not in self.family.page_faults:
            raise self._report(EmulatorError, f"{routine.sequence.step} raises exception {number}", routine)
        syndrome = self._recorded() if self.exceptions.handler else self.exceptions.syndrome
        self._restore()
        raise PageFault(self._records.of(routine.accesses, self.family.address(syndrome), syndrome))

    # faults

    def state(self) -> bytes:
        """The emulator's state as it is."""
        self.uc.context_update(self._context)
        return bytes(self._context)

    def probe(self, step: str, va: int, *, last: bool) -> bytes:
        """The state after an access that must fault; after the last one it stays as it is."""
        routine = self.routines[step]
        if step == "jump":
            self._jump(va)
        else:
            _BLOCK.pack_into(self._block, 0, va, 0, 0, 0, 0, 0, 0, 0)
            self._run(routine, routine.begin, _INSTRUCTIONS)
        if self.exceptions.number not in self.family.page_faults:
            raise self._report(EmulatorError, f"{step} at VA {va:#x} does not fault", routine)
        state = self.exceptions.state
        if not last:
            self._restore()
        return state

    def probe_without_fault(self, va: int) -> bytes:
        """The state after a load that does not fault, for the emulator as the last fault left it."""
        _BLOCK.pack_into(self._block, 0, va, 0, 0, 0, 0, 0, 0, 0)
        load = self.routines["load"]
        self._run(load, load.begin, _INSTRUCTIONS)
        state = self.state()
        self._restore()
        return state

    def _recorded(self) -> FieldValues:
        """The same, as the guest's handler has recorded them."""
        names = self.part.convention.records
        return tuple((name, self.area.word(self.area.block + RECORD + 8 * at)) for at, name in enumerate(names))

    def _restore(self) -> None:
        """Forget the exception, also in the emulator, which would take the next one for a second one."""
        self.exceptions.clear()
        self.uc.context_restore(self._clean)

    def _report(self, kind: type[_Error], what: str, routine: Routine) -> _Error:
        convention = self.part.convention
        names = (convention.counter, *convention.arguments, convention.result, convention.block, convention.stack)
        registers = {name: self.uc.reg_read(self.register(name)) for name in names}
        self._restore()
        return kind(what, where=describe(self.part, routine, registers), rule=f"CPU {self.index}, {self.target}")
