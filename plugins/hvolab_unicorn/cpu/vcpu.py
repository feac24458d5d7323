# SPDX-License-Identifier: GPL-2.0-only
"""Emulated CPU that executes steps: an instance of unicorn over the machine's memory."""

from __future__ import annotations

import struct
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from hvolab.arch import FieldValues, PageFault
from hvolab.arch.steps import BLOCK_BYTES, RECORD, RESULT, RETURN
from hvolab.errors import UsageError
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_unicorn.cpu import instance
from hvolab_unicorn.cpu.calibration import Probe, find_fields, probes_of
from hvolab_unicorn.cpu.exceptions import Exceptions
from hvolab_unicorn.cpu.faults import FaultRecords
from hvolab_unicorn.cpu.reports import describe
from hvolab_unicorn.emulator.errors import EmulatorError, GuestStuckError
from hvolab_unicorn.emulator.interrupts import start
from hvolab_unicorn.emulator.library import unicorn, version
from hvolab_unicorn.emulator.watchdog import TICKS, WATCHDOG, WORDS_PER_TICK
from hvolab_unicorn.families import family_of
from hvolab_unicorn.guest.area import Area, area_of
from hvolab_unicorn.guest.memory import GuestMemory
from hvolab_unicorn.guest.text import EXIT, Routine, lay_out

#: Most instructions of a step that is executed first: so many, and so many for each word that it visits.
_INSTRUCTIONS, _PER_WORD = 4096, 64
_Error = TypeVar("_Error", bound=EmulatorError)
_BLOCK = struct.Struct("<8Q")
_OUTCOME = struct.Struct("<2Q")
#: VAs of the routines of each text that were executed in this process.
_TRIED: dict[bytes, set[int]] = {}
#: Offsets of the fields of each family's state, by unicorn's architecture and release.
_OFFSETS: dict[tuple[str, str], Mapping[str, int]] = {}


class VirtualCpu:
    """One instance of unicorn that executes steps.

    memory, tables, target  those of the machine
    routines  the steps, by name
    exit      VA at which each of them ends
    handler   whether faults are recorded by a handler in the guest, as for EmulatedCpu
    Raises UsageError for a target that cannot be emulated, and without unicorn.
    """

    def __init__(self, machine: Machine, index: int, *, handler: bool = False) -> None:
        part = machine.target.architecture.emulation
        if part is None:
            raise UsageError(f"{machine.target.architecture.name} declares no instructions to emulate")
        if reason := part.refusal(machine.target):
            raise UsageError(f"{machine.target} cannot be emulated: {reason}", hint="use the modeled CPU")
        self.index = index
        self.memory = machine.memory  # not the machine, which holds its CPUs
        self.tables = machine.tables
        self.target = machine.target
        self.part = part
        self.area: Area = area_of(machine, index)
        self.family = family_of(part.emulator[0])
        self.register = self.family.register
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
        #: VA at which the emulator is to stop: it looks it up after each run, so it is in a page of text without code.
        self._never = self.area.text_va + self.area.text_bytes - self.target.mode.page_size
        self.area.put_word(self.area.block + RETURN, self.exit)
        mmu = () if machine.guest is None else machine.guest.mmu
        instance.apply(self.uc, part.settings(self.target, self.tables.root, mmu), self.family)
        self.uc.reg_write(self.register(part.convention.block), self.area.block)
        self.family.prepare(self.uc, self.area)
        self._clean = self.uc.context_save()
        self._context = self.uc.context_save()
        self.exceptions = Exceptions(self.family, self.area, guest, self._context, self._counter)
        self._hook(self._library.UC_HOOK_INTR, self.exceptions.raised)
        self._watch = WATCHDOG.watch(self.uc)
        self.exceptions.find_fields(self._calibrated())
        self.exceptions.handler = handler  # only now: entering the handler takes the fields of the state

    def _hook(self, kind: int, callback: Any) -> int:
        """Add a hook; it gets a weak reference, so that it does not keep the emulator alive."""
        handle: int = type(self.uc).hook_add(weakref.proxy(self.uc), kind, callback)
        return handle

    def empty_tlb(self) -> None:
        """Empty the emulator's TLB from outside the guest."""
        self.uc.ctl(self._library.UC_CTL_TLB_FLUSH, self._library.UC_CTL_IO_WRITE)

    def provide_as_needed(self) -> None:
        """Map memory of a core at its first access, also for code other than steps. It makes every access slow."""
        self._hook(self._library.UC_HOOK_MEM_UNMAPPED, self.exceptions.missing)

    @contextmanager
    def watched(self, ticks: int) -> Iterator[None]:
        """Let the watchdog stop the emulator after so many ticks, for code other than steps."""
        self._watch.ticks = ticks
        self._watch.number += 1
        try:
            yield
        finally:
            self._watch.number += 1

    # steps

    def call(self, routine: Routine, a: int = 0, b: int = 0, c: int = 0, d: int = 0, *, work: int = 1) -> int:
        """Execute a routine with these arguments and return its result.

        work  about as many words as it visits, which bounds its time

        The first call of a routine counts its instructions, so that a wrong sequence is reported at once; later ones,
        several times as fast, are watched instead.
        Raises PageFault, AbsentMemoryError for an access outside memory, GuestStuckError, EmulatorError.
        """
        watch, begin = self._watch, routine.begin
        _BLOCK.pack_into(self._block, 0, a, b, c, d, 0, 0, 0, 0)
        watch.ticks = TICKS + work // WORDS_PER_TICK
        try:
            if begin in self._tried:
                self._run(routine, begin)
            else:
                self._run(routine, begin, _INSTRUCTIONS + _PER_WORD * work)
                if not self._excepted and self.uc.reg_read(self._counter) != self._ended:
                    raise self.stuck(routine)
                self._tried.add(begin)
            while True:
                result, done = _OUTCOME.unpack_from(self._block, RESULT)
                if done == self._done and watch.stopped != watch.number - 1:
                    return int(result)
                if self._excepted:
                    self._fail(routine)
                if watch.stopped == watch.number - 1:
                    raise self.stuck(routine)
                self._run(routine, self.uc.reg_read(self._counter))  # another routine was to be stopped
        except KeyboardInterrupt:
            self._restore()  # the next call does not see what this one left
            raise

    @property
    def _excepted(self) -> bool:
        """True after an exception, or an access outside memory."""
        return self.exceptions.number is not None or self.exceptions.hole is not None

    def stuck(self, routine: Routine, reason: str = "does not come to its end") -> GuestStuckError:
        """Return the error for a routine that does not end, with its instructions and registers."""
        error = self._report(GuestStuckError, f"{routine.sequence.step} {reason}", routine)
        self.area.put_word(self.area.block + RETURN, self.exit)  # the guest may have overwritten it
        return error

    def fetch(self, va: int) -> None:
        """Jump to `va` and stop before the first instruction there; raises PageFault where it cannot be fetched."""
        try:
            self._access("jump", va)
            if not self._excepted:
                return
            exceptions, counter = self.exceptions, self.uc.reg_read(self._counter)
            if exceptions.number is not None and exceptions.handler and counter != self._ended:
                start(self.uc, counter, self._never, _INSTRUCTIONS)  # it was stopped inside the handler
            self._fail(self.routines["jump"])
        except KeyboardInterrupt:
            self._restore()
            raise

    def _access(self, step: str, va: int) -> None:
        """Execute a step at `va` whatever becomes of it; a jump stops before the instruction there."""
        routine = self.routines[step]
        _BLOCK.pack_into(self._block, 0, va, 0, 0, 0, 0, 0, 0, 0)
        self._run(routine, routine.begin, routine.instructions if step == "jump" else _INSTRUCTIONS)

    def _run(self, routine: Routine, begin: int, instructions: int = 0) -> None:
        """Run the emulator from `begin` on, for at most so many instructions; 0: watched instead."""
        watch = self._watch
        watch.number += 1
        try:
            start(self.uc, begin, self._never, instructions)
        except self._failure as failed:
            if failed.errno not in self._unmapped:
                raise self._report(EmulatorError, f"{routine.sequence.step}: {failed}", routine) from failed
            self._map_and_continue(routine, instructions)
        finally:
            watch.number += 1

    def _map_and_continue(self, routine: Routine, instructions: int) -> None:
        """Repeat the instruction that accessed unmapped memory; map what exists, and record a hole.

        The instructions before it are not repeated: they may have changed what they read. Only a jump is, which
        changes nothing, so that nothing is executed at its target.
        The hook for this makes every access slow, so it is there only now, in code that is translated for it.
        """
        uc = self.uc
        begin = routine.begin if routine.sequence.step == "jump" else uc.reg_read(self._counter)
        uc.ctl_flush_tb()
        handle = self._hook(self._library.UC_HOOK_MEM_UNMAPPED, self.exceptions.missing)
        try:
            start(uc, begin, self._never, instructions)
        except self._failure as failed:
            if self.exceptions.hole is None:
                raise self._report(EmulatorError, f"{routine.sequence.step}: {failed}", routine) from failed
        finally:
            uc.hook_del(handle)
            uc.ctl_flush_tb()

    def _fail(self, routine: Routine) -> NoReturn:
        """Raise the error for an exception or a hole."""
        number, hole = self.exceptions.number, self.exceptions.hole
        if hole is not None:
            self._restore()
            self.memory.offset(hole)  # raises AbsentMemoryError
            raise EmulatorError(f"the emulator does not see memory at PA {hole:#x}, which exists")
        if number not in self.family.page_faults:
            raise self._report(EmulatorError, f"{routine.sequence.step} raises exception {number}", routine)
        syndrome = self._recorded() if self.exceptions.handler else self.exceptions.syndrome
        self._restore()
        raise PageFault(self._records.of(routine.accesses, dict(syndrome)[self.family.address_register], syndrome))

    # faults

    def _calibrated(self) -> Mapping[str, int]:
        """Return the offset of each field of the family in a saved context, found by probes once in a process."""
        key, target = (self.part.emulator[0], version()), self.target
        if key not in _OFFSETS and target.cpu_mode is not None:
            # accesses that the kernel's mode of the CPU refuses may be allowed in this one
            plain = target.architecture.select(target.mode.name, features=target.features)
            VirtualCpu(build_machine(plain, MachineSpec(memory=self.memory.size, deferred_struct_pages=True)), 0)
        if key not in _OFFSETS:
            clean = self.state()
            states = {probe: self._probe(probe) for probe in probes_of(self.area)}
            self._access("load", self.area.block)
            _OFFSETS[key] = find_fields(self.family, self.tables, states, clean, self.state())
            self._restore()
        return _OFFSETS[key]

    def state(self) -> bytes:
        """Return the emulator's state."""
        self.uc.context_update(self._context)
        return bytes(self._context)

    def _probe(self, probe: Probe) -> bytes:
        """Return the state after an access that must fault."""
        self._restore()
        self._access(probe.step, probe.va)
        if self.exceptions.number not in self.family.page_faults:
            what = f"{probe.step} at VA {probe.va:#x} does not fault"
            raise self._report(EmulatorError, what, self.routines[probe.step])
        return self.exceptions.state

    def _recorded(self) -> FieldValues:
        """Return the registers that the guest's handler has recorded."""
        names = self.part.convention.records
        values = struct.unpack_from(f"<{len(names)}Q", self._block, RECORD)
        return tuple(zip(names, values, strict=True))

    def _restore(self) -> None:
        """Clear the exception, also in the emulator, which would take the next one for a second one."""
        self.exceptions.clear()
        self.uc.context_restore(self._clean)

    def _report(self, kind: type[_Error], what: str, routine: Routine) -> _Error:
        convention = self.part.convention
        names = (convention.counter, *convention.arguments, convention.result, convention.block, convention.stack)
        registers = {name: self.uc.reg_read(self.register(name)) for name in names}
        self._restore()
        return kind(what, where=describe(self.part, routine, registers), rule=f"CPU {self.index}, {self.target}")
