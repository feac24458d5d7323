"""One emulated CPU as a thing that carries out steps: an instance of unicorn over the machine's memory."""

from __future__ import annotations

import ctypes
import struct
import weakref
from typing import Any

from hvolab.arch import PageFault
from hvolab.arch.fields import FieldValues
from hvolab.arch.steps import BLOCK_BYTES, RECORD, RESULT, RETURN
from hvolab.errors import UsageError
from hvolab.machine import Machine
from hvolab_unicorn.areas import Area, area_of
from hvolab_unicorn.calibration import calibrate
from hvolab_unicorn.errors import EmulatorError, GuestStuckError
from hvolab_unicorn.families import family_of
from hvolab_unicorn.families.family import Layout
from hvolab_unicorn.faults import FaultRecords
from hvolab_unicorn.guest_memory import GuestMemory
from hvolab_unicorn.guest_text import EXIT, Routine, lay_out
from hvolab_unicorn.library import address_of, constants, unicorn
from hvolab_unicorn.reports import describe

#: Translated code of a CPU: the emulator reserves 1 GiB of virtual memory for it unless told otherwise.
_CODE_BUFFER = 8 << 20
#: Instructions that a step may take: so many, and so many for each word that it visits.
_INSTRUCTIONS, _PER_WORD = 4096, 64
#: A step that visits so many words is watched by a clock, which takes the emulator a thread; words that take a second
#: on a slow and busy host; seconds beside those.
_LONG, _WORDS_PER_SECOND, _SECONDS = 1 << 20, 1 << 18, 60
_MICROSECONDS = 1_000_000
_KINDS: dict[int, Any] = {4: ctypes.c_uint32, 8: ctypes.c_uint64}
_BLOCK = struct.Struct("<8Q")
_OUTCOME = struct.Struct("<2Q")


class Latch:
    """What a hook has seen: it must not hold the emulator, which holds the hook, or neither is ever freed.

    number  of the exception that was raised; ``None``: none
    state   the emulator's state then, while it is not known where to look in it
    syndrome  the registers that report it
    hole    PA of an access to memory that is not mapped; ``None``: none
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.state = b""
        self.syndrome: FieldValues = ()
        self.hole: int | None = None

    def clear(self) -> None:
        """Forget."""
        self.number = self.hole = None


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
            raise UsageError(f"{machine.target} cannot be emulated: {why}", remedy="use the modelled CPU")
        self.index = index
        self.memory = machine.memory  # not the machine, which holds its CPUs: nothing here keeps another alive
        self.tables = machine.tables
        self.target = machine.target
        self.part = part
        self._records = FaultRecords(machine.tables, index)
        self.area: Area = area_of(machine, index)
        self.family = family_of(part.emulator[0])
        self.constants = constants(part.emulator[0])
        self.latch = Latch()
        self._counter = self.register(part.convention.counter)
        self._failure = unicorn().UcError
        self._library = unicorn().unicorn_const
        self._unmapped = {getattr(self._library, f"UC_ERR_{kind}_UNMAPPED") for kind in ("READ", "WRITE", "FETCH")}
        self.uc = self._instance()
        self._guest = GuestMemory(self.uc, machine.memory, machine.tables)
        text, self.routines = lay_out(part, self.area.text_va, self.area.text_bytes)
        self._written, self._text = text, self.area.install(text)
        self._proved: set[int] = set()
        for va in (self.area.text_va, self.area.block):
            self._guest.provide_walk(va)
        self._block = self.area.view(self.area.block, BLOCK_BYTES)
        self.exit = self.area.text_va + EXIT
        self.area.put_word(self.area.block + RETURN, self.exit)
        self._set_up()
        self._add_hook()
        self._clean = self.uc.context_save()
        self._context = self.uc.context_save()
        #: Fields of the state, in the context that is saved at every fault.
        self._fields: dict[str, Any] = {}
        self.handler = False  # until it is known where the state has what a handler is told
        self.offsets = calibrate(self)
        for field in self.family.fields:
            kind = _KINDS[field.size]
            self._fields[field.name] = kind.from_address(address_of(self._context) + self.offsets[field.name])
        self.handler = handler

    # the instance

    def _instance(self) -> Any:
        library = unicorn()
        architecture, mode = self.part.emulator
        uc = library.Uc(getattr(library.unicorn_const, architecture), getattr(library.unicorn_const, mode))
        if self.family.sets_page_size:  # before anything else, or pages of another size widen every flush
            uc.ctl_set_page_size(self.target.mode.page_size)
        if self.part.model:
            uc.ctl_set_cpu_model(getattr(self.constants, self.part.model))
        uc.ctl_set_tcg_buffer_size(_CODE_BUFFER)
        return uc

    def register(self, name: str) -> int:
        """Number of a register in the emulator's interface."""
        number: int = getattr(self.constants, self.family.prefix + name.upper())
        return number

    def _set_up(self) -> None:
        """Set the registers that switch the MMU on, those of the convention, and what the handler needs."""
        for setting in self.part.settings(self.target, self.tables.root):
            if setting.name == "msr":
                self.uc.msr_write(*setting.at, setting.value)
            elif setting.name == "cp_reg":
                self.uc.cpr_write(*setting.at, setting.value)
            else:
                self.uc.reg_write(self.register(setting.name), setting.value)
        self.uc.reg_write(self.register(self.part.convention.block), self.area.block)
        layout = Layout(self.area.text_va, self.area.tables, self.area.stack)
        self.family.prepare(self.uc, layout, self.area)

    def _add_hook(self) -> None:
        """Hook exceptions; through weak references, or the instance would hold itself."""
        take = weakref.WeakMethod(self._take)

        def exception(uc: Any, number: int, _: object) -> None:
            taken = take()
            if taken is None or not taken(number):
                uc.emu_stop()

        self._hook(self._library.UC_HOOK_INTR, exception)

    def _hook(self, kind: int, callback: Any) -> int:
        """Add a hook for the time being, or for good: what it is given for the emulator holds nothing alive."""
        handle: int = type(self.uc).hook_add(weakref.proxy(self.uc), kind, callback)
        return handle

    def _take(self, number: int) -> bool:
        """Note an exception while the emulator stands at it; True where the guest goes on, in its handler.

        Not later: when it stops, the emulator looks at where it would have stopped, and a fault there leaves its mark.
        """
        latch, family = self.latch, self.family
        latch.number = number
        self.uc.context_update(self._context)
        if not self._fields:
            latch.state = bytes(self._context)  # where its fields are is being found out
            return False
        if number not in family.page_faults:
            return False
        fields = {name: field.value for name, field in self._fields.items()}
        latch.syndrome = family.syndrome(self.uc, number, fields)
        if not self.handler:
            return False
        for field in family.fields:
            if not field.tells:
                self._fields[field.name].value = field.clean
                self.uc.context_restore(self._context)
        family.enter(self.uc, number, fields, self.area)
        return True

    # steps

    def call(self, routine: Routine, a: int = 0, b: int = 0, c: int = 0, d: int = 0, *, work: int = 1) -> int:
        """Carry out a routine with these arguments and give its result.

        work  words that it visits, about: what it may take follows from that
        Raises PageFault, AbsentMemoryError for memory that is not there, GuestStuckError, EmulatorError.
        """
        _BLOCK.pack_into(self._block, 0, a, b, c, d, 0, 0, 0, 0)
        self._run(routine, *self._bounds(routine, work))
        result, done = _OUTCOME.unpack_from(self._block, RESULT)
        if done == self.area.block:
            self._proved.add(routine.begin)
            return int(result)
        self._not_done(routine)
        return self.call(routine, a, b, c, d, work=work)  # what it lacked has been mapped

    def _bounds(self, routine: Routine, work: int) -> tuple[int, int]:
        """Instructions and seconds after which a routine is stopped; 0: never.

        Counting makes every instruction several times as slow. A routine that has come to its end once, within its
        bounds, is not counted again as long as the text is what it was.
        """
        if routine.begin not in self._proved or bytes(self._text) != self._written:
            return _INSTRUCTIONS + _PER_WORD * work, 0
        return 0, 0 if work < _LONG else _SECONDS + work // _WORDS_PER_SECOND

    def fetch(self, va: int) -> None:
        """Jump to ``va`` and stop before the first instruction there: raises PageFault where it cannot be fetched."""
        self._jump(va)
        if self.latch.number is None and self.latch.hole is None:
            return
        routine = self.routines["jump"]
        if self.latch.number is not None and self.handler:  # it was stopped on its way through the handler
            self.uc.emu_start(self.uc.reg_read(self._counter), self.exit, 0, _INSTRUCTIONS)
        self._not_done(routine)
        self.fetch(va)

    def _jump(self, va: int) -> None:
        routine = self.routines["jump"]
        _BLOCK.pack_into(self._block, 0, va, 0, 0, 0, 0, 0, 0, 0)
        self._run(routine, routine.instructions)

    def _run(self, routine: Routine, instructions: int, seconds: int = 0) -> None:
        try:
            self.uc.emu_start(routine.begin, self.exit, seconds * _MICROSECONDS, instructions)
        except self._failure as failed:
            if failed.errno not in self._unmapped:
                raise self._report(EmulatorError, f"{routine.sequence.step}: {failed}", routine) from failed
            self._run_with_holes(routine)

    def _run_with_holes(self, routine: Routine) -> None:
        """Carry out a routine again that met memory which is not mapped: map what there is, note what there is not.

        The hook for that makes every access slow, so it is there only now, in code that is translated for it.
        """
        latch, guest = self.latch, self._guest
        self.uc.context_restore(self._clean)

        def hole(_: Any, __: int, pa: int, ___: int, ____: int, _____: object) -> bool:
            if guest.provide(pa):
                return True
            latch.hole = pa
            return False

        self.uc.ctl_flush_tb()
        handle = self._hook(self._library.UC_HOOK_MEM_UNMAPPED, hole)
        try:
            self.uc.emu_start(routine.begin, self.exit, _SECONDS * _MICROSECONDS, 0)
        except self._failure as failed:
            if latch.hole is None:
                raise self._report(EmulatorError, f"{routine.sequence.step}: {failed}", routine) from failed
        finally:
            self.uc.hook_del(handle)
            self.uc.ctl_flush_tb()

    def _not_done(self, routine: Routine) -> None:
        """Tell why a routine did not come to its end: raises; returns where memory that it lacked is there now."""
        number, hole = self.latch.number, self.latch.hole
        if number is None and hole is None:
            raise self._report(GuestStuckError, f"{routine.sequence.step} does not come to its end", routine)
        if hole is not None:
            self._restore()
            self.memory.offset(hole)  # raises: it is not there
            raise EmulatorError(f"memory at PA {hole:#x} is there, and the emulator does not see it")
        if number not in self.family.page_faults:
            raise self._report(EmulatorError, f"{routine.sequence.step} raises exception {number}", routine)
        if not routine.loops:
            self._proved.add(routine.begin)  # it came to an end
        syndrome = self._recorded() if self.handler else self.latch.syndrome
        self._restore()
        va = self.family.address(syndrome)
        if not self._guest.provide_walk(va):
            raise PageFault(self._records.of(routine.accesses, va, syndrome))

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
            self._run(routine, _INSTRUCTIONS)
        if self.latch.number not in self.family.page_faults:
            raise self._report(EmulatorError, f"{step} at VA {va:#x} does not fault", routine)
        state = self.latch.state
        if not last:
            self._restore()
        return state

    def probe_without_fault(self, va: int) -> bytes:
        """The state after a load that does not fault, for the emulator as the last fault left it."""
        _BLOCK.pack_into(self._block, 0, va, 0, 0, 0, 0, 0, 0, 0)
        self._run(self.routines["load"], _INSTRUCTIONS)
        state = self.state()
        self._restore()
        return state

    def _recorded(self) -> FieldValues:
        """The same, as the guest's handler has recorded them."""
        names = self.part.convention.records
        return tuple((name, self.area.word(self.area.block + RECORD + 8 * at)) for at, name in enumerate(names))

    def _restore(self) -> None:
        """Forget the exception, also in the emulator, which would take the next one for a second one."""
        self.latch.clear()
        self.uc.context_restore(self._clean)

    def _report(self, kind: type[EmulatorError], what: str, routine: Routine) -> EmulatorError:
        convention = self.part.convention
        names = (convention.counter, *convention.arguments, convention.result, convention.block, convention.stack)
        registers = {name: self.uc.reg_read(self.register(name)) for name in names}
        self._restore()
        return kind(what, where=describe(self.part, routine, registers), rule=f"CPU {self.index}, {self.target}")
