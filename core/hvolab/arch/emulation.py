# SPDX-License-Identifier: GPL-2.0-only
"""The optional emulation part of a description: the architecture's own instructions for the steps of HVO."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hvolab.arch.cpu_mode import CpuMode, RegisterSetting
from hvolab.arch.entry import AddressPart, EntryForm, EntryKind
from hvolab.arch.geometry import PagingMode
from hvolab.arch.mmu import MmuRules
from hvolab.arch.selection import Selection
from hvolab.arch.steps import ARGUMENTS, STEP_BY_NAME
from hvolab.errors import DescriptionError, UsageError
from hvolab.overrides import Overrides, check_change, overridden

_NAME = re.compile(r"[A-Za-z]\w*")
#: Words of the notation of effects that are not registers.
_WORDS = frozenset(
    {*["for", "until", "if", "byte", "tlb", "none", "order", "stores", "walks", "fetches", "pc", "wait", "i", "j"]}
)
_Selection = TypeVar("_Selection", bound=Selection)


@dataclass(frozen=True)
class InstructionSequence:
    """One step as machine code.

    step      its name in :data:`hvolab.arch.STEPS`
    text      instructions separated by ``; ``, as a disassembler prints them for code at address 0
    code      the bytes, in hex
    inputs    (name, register) of each input
    outputs   (name, register) of each output
    clobbers  other registers that it changes
    effect    the contract's effect, in registers
    """

    step: str
    text: str
    code: str
    inputs: tuple[tuple[str, str], ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()
    clobbers: tuple[str, ...] = ()
    effect: str = ""

    @property
    def machine_code(self) -> bytes:
        """The bytes themselves."""
        return bytes.fromhex(self.code)

    @property
    def effect_in_names(self) -> str:
        """The effect with the contract's names for registers; raises DescriptionError for a register without one."""
        names = {register: name for name, register in (*self.inputs, *self.outputs)}
        for word in _NAME.findall(self.effect):
            if word not in names and word not in _WORDS:
                what = f"the effect of {self.step} names {word!r}, which is neither input nor output"
                hint = "declare the register as one, or use the words of the notation: hvolab.arch.steps"
                raise DescriptionError(what, where=self.effect, hint=hint)
        return _NAME.sub(lambda found: names.get(found.group(), found.group()), self.effect)

    def check(self) -> None:
        """Raise DescriptionError if bytes or text are missing, or the step's contract is broken."""
        step = STEP_BY_NAME.get(self.step)
        if step is None:
            raise DescriptionError(f"no step is called {self.step!r}", rule="the steps are " + ", ".join(STEP_BY_NAME))
        try:
            code = self.machine_code
        except ValueError as error:
            raise DescriptionError(f"the code of {self.step} is not hex: {error}", where=self.code) from error
        if not code or not self.text:
            raise DescriptionError(f"the sequence {self.step} has no bytes or no text")
        for title, has, needs in (("inputs", self.inputs, step.inputs), ("outputs", self.outputs, step.outputs)):
            names = tuple(name for name, _ in has)
            if names != needs:
                rule = f"its contract: {', '.join(needs) or 'none'}"
                raise DescriptionError(f"the {title} of {self.step} are {', '.join(names) or 'none'}", rule=rule)
        registers = [register for _, register in (*self.inputs, *self.outputs)]
        if len(set(registers)) != len(registers):
            raise DescriptionError(f"two inputs or outputs of {self.step} share a register", where=str(registers))
        if step.effect and self.effect_in_names != step.effect:
            what = f"the effect of {self.step} is {self.effect_in_names!r}"
            raise DescriptionError(what, rule=f"its contract: {step.effect}")


@dataclass(frozen=True)
class Convention:
    """The registers that all sequences share.

    block      register that holds the VA of the argument block; no sequence changes it
    arguments  registers that ``enter`` fills from it
    result     register that ``leave`` stores to it: the output of every step
    stack      stack pointer
    counter    program counter
    records    registers that ``handler`` records, in order, under the names that the architecture's syndrome has
    """

    block: str
    arguments: tuple[str, ...]
    result: str
    stack: str
    counter: str
    records: tuple[str, ...]


def _plain_names(selection: Selection) -> set[str]:
    """Return the names of the features, without chosen bits."""
    return {name.partition("=")[0] for name in selection.features}


@dataclass(frozen=True)
class EmulatorLimit:
    """A difference of the emulator from the architecture.

    reason                     in words
    modes, features, releases  selections that it concerns: one of each that is named; empty: any
    without                    features with which it does not matter
    refuses                    whether such a selection cannot be emulated; else the difference is only declared
    """

    reason: str
    modes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    refuses: bool = True

    def concerns(self, selection: Selection) -> bool:
        """Return whether it matters for that selection."""
        features = _plain_names(selection)
        wanted = (
            (self.modes, {selection.mode.name}),
            (self.features, features),
            (self.releases, {selection.release.name}),
        )
        return features.isdisjoint(self.without) and all(not names or having & {*names} for names, having in wanted)


@dataclass(frozen=True)
class WalkLimit:
    """A difference of the emulator's walks from the architecture's, as changes to the description.

    reason          in words
    mmu             overrides of MmuRules
    ignored         (kind of entry, bits) that the architecture checks and the emulator does not
    widened         (kind of entry, part) of the address that the emulator takes from reserved bits
    low_address     whether the low bits of a large leaf's address, which should be zero, are or-ed to the PA
    leaves          names of levels at which the emulator accepts the leaves of the next level that has some
    loads_first     whether a refused atomic operation is reported as a load if a load is refused too
    flags_on_fault  whether a walk sets accessed flags of entries whose access it refuses
    without         features with which it does not matter
    """

    reason: str
    mmu: Overrides = ()
    ignored: tuple[tuple[EntryKind, int], ...] = ()
    widened: tuple[tuple[EntryKind, AddressPart], ...] = ()
    low_address: bool = False
    leaves: tuple[str, ...] = ()
    loads_first: bool = False
    flags_on_fault: bool = False
    without: tuple[str, ...] = ()

    def applied(self, selection: _Selection) -> _Selection:
        """Return the selection as the emulator's walks see it."""
        mode = selection.mode
        forms = mode.format.forms
        for kind, mask in self.ignored:
            forms = tuple(form.ignoring(mask) if form.kind is kind else form for form in forms)
        for kind, part in self.widened:
            forms = tuple(
                replace(form.ignoring(part.mask), address=(*form.address, part)) if form.kind is kind else form
                for form in forms
            )
        if self.low_address:
            whole = mode.format.form(mode.last.name, EntryKind.LEAF).address
            forms = tuple(replace(form, address=whole) if form.kind is EntryKind.LEAF else form for form in forms)
        forms = (*forms, *(_leaf(mode, name) for name in self.leaves if name in {lv.name for lv in mode.levels}))
        mode = replace(mode, format=replace(mode.format, forms=forms))
        return replace(selection, mode=mode, mmu=overridden(selection.mmu, self.mmu))


def _leaf(mode: PagingMode, name: str) -> EntryForm:
    """Return the form of a leaf at a level without one: that of the next level that has one, with larger pages."""
    shift = mode.level(name).shift
    below = mode.levels[mode.levels.index(mode.level(name)) + 1 :]
    like = next(form for form in (mode.format.leaf_form(level.name) for level in below) if form is not None)
    first = like.address[0]
    low = first.low + shift - first.physical
    part = AddressPart(low, first.low + first.width - low, shift)
    return replace(like, levels=(name,), address=(part, *like.address[1:]))


#: (selection, PA of the root table) -> registers in the order in which they are set.
RegisterSetup = Callable[[Selection, int], tuple[RegisterSetting, ...]]


#: (selection, PA of the root table, PA of the memory) -> its bytes; those that are not given are zero.
MmuContent = Callable[[Selection, int, int], bytes]


@dataclass(frozen=True)
class MmuMemory:
    """Memory that an MMU reads besides page tables, such as a process table: the machine reserves it and fills it.

    name       its name
    size       bytes
    content    function that returns its bytes
    registers  function that returns the registers that lead to it, by its PA: they are set before the others
    alignment  bytes, a power of two, at least a page; 0: a page
    """

    name: str
    size: int
    content: MmuContent = field(repr=False)
    registers: Callable[[int], tuple[RegisterSetting, ...]] = field(repr=False)
    alignment: int = 0

    def filled(self, selection: Selection, root: int, pa: int) -> bytes:
        """Return its bytes, ``size`` of them; raises DescriptionError for more."""
        content = self.content(selection, root, pa)
        if len(content) > self.size:
            what = f"the content of the MMU's memory {self.name!r} has {len(content):#x} bytes, not {self.size:#x}"
            raise DescriptionError(what, where=selection.mode.name, hint="correct MmuMemory.size")
        return content.ljust(self.size, bytes(1))

    def check(self) -> None:
        """Raise DescriptionError for a size or an alignment that no memory has."""
        if self.size <= 0 or self.alignment < 0 or self.alignment & (self.alignment - 1):
            what = f"the MMU's memory {self.name!r} has {self.size:#x} bytes at a multiple of {self.alignment:#x}"
            raise DescriptionError(what, rule="a size above 0, and an alignment that is a power of two")


@dataclass(frozen=True)
class EmulationPart:
    """The data that an emulator needs to carry out the steps on a guest CPU.

    disassembler   (architecture, mode) by the names of capstone's constants
    emulator       (architecture, mode) by the names of unicorn's constants
    convention     registers of the sequences
    sequences      one for each step
    registers      registers that switch the MMU on
    memory         memory that the MMU reads besides page tables
    model          name of unicorn's constant for the CPU model; empty: the default one
    flush_ceiling  most pages of a range that are flushed one by one, as by the kernel, instead of all translations;
                   0: the entries of a table of the last level
    limits         differences of the emulator
    walks          differences of its walks
    cpu_modes      states of the CPU in which its walks can be tested besides the kernel's
    source         origin of registers and ceiling
    """

    disassembler: tuple[str, str]
    emulator: tuple[str, str]
    convention: Convention
    sequences: tuple[InstructionSequence, ...]
    registers: RegisterSetup = field(repr=False)
    model: str = ""
    flush_ceiling: int = 1
    limits: tuple[EmulatorLimit, ...] = ()
    memory: tuple[MmuMemory, ...] = ()
    walks: tuple[WalkLimit, ...] = ()
    cpu_modes: tuple[CpuMode, ...] = ()
    source: str = ""

    def sequence(self, step: str) -> InstructionSequence | None:
        """Return the sequence of that step, if it is declared."""
        return next((sequence for sequence in self.sequences if sequence.step == step), None)

    def ceiling(self, mode: PagingMode) -> int:
        """Return the most pages that are flushed one by one in a mode."""
        return self.flush_ceiling or mode.last.entries

    def settings(
        self, selection: Selection, root: int, places: tuple[tuple[str, int], ...] = ()
    ) -> tuple[RegisterSetting, ...]:
        """Return every register to set, in order: of the MMU's memory, to switch the MMU on, of the CPU mode.

        places  name and PA of the MMU's memory
        Raises UsageError for memory without a place.
        """
        known = dict(places)
        leading: list[RegisterSetting] = []
        for memory in self.memory:
            if memory.name not in known:
                what = f"the MMU's memory {memory.name!r} is in no frame"
                raise UsageError(what, where=str(selection.mode.name), hint="use the tables of a machine that has it")
            leading += memory.registers(known[memory.name])
        cpu_mode = selection.cpu_mode
        return (*leading, *self.registers(selection, root), *(() if cpu_mode is None else cpu_mode.settings))

    def walk_limits(self, selection: Selection) -> tuple[WalkLimit, ...]:
        """Return the differences of the walks of a selection."""
        return tuple(limit for limit in self.walks if not set(limit.without) & _plain_names(selection))

    def refusal(self, selection: Selection) -> str:
        """Return why the selection cannot be emulated; empty if it can."""
        return "; ".join(limit.reason for limit in self.limits if limit.refuses and limit.concerns(selection))

    def differences(self, selection: Selection) -> tuple[str, ...]:
        """Return the differences of the emulator for a selection that it can emulate."""
        return tuple(limit.reason for limit in self.limits if not limit.refuses and limit.concerns(selection))

    def check(self) -> None:
        """Raise DescriptionError for a broken contract, a missing or doubled sequence, or a wrong override."""
        steps = [sequence.step for sequence in self.sequences]
        for sequence in self.sequences:
            sequence.check()
            if steps.count(sequence.step) > 1:
                raise DescriptionError(f"the sequence {sequence.step} is declared twice")
            self._check_registers(sequence)
        if missing := [step for step in STEP_BY_NAME if step not in steps]:
            raise DescriptionError(f"no sequence for {', '.join(missing)}", rule="an emulated CPU needs every step")
        arguments, result = self.convention.arguments, self.convention.result
        if len(arguments) != ARGUMENTS or result in arguments:
            rule = f"{ARGUMENTS} registers for arguments, and another one for the result"
            raise DescriptionError(f"arguments in {', '.join(arguments)}, result in {result}", rule=rule)
        for memory in self.memory:
            memory.check()
        for limit in self.walks:
            check_change(limit, f"walk limit {limit.reason!r}", mmu=MmuRules)
        for mode in self.cpu_modes:
            check_change(mode, f"CPU mode {mode.name!r}", mmu=MmuRules)

    def _check_registers(self, sequence: InstructionSequence) -> None:
        """Check that inputs and outputs are in the registers of the convention, and that the block keeps its own."""
        convention = self.convention
        inputs, outputs = set(convention.arguments), {convention.result}
        if sequence.step == "enter":
            inputs, outputs = {convention.block}, set(convention.arguments)
        elif sequence.step in {"leave", "handler"}:
            inputs = {convention.block, convention.result}
        for title, has, allowed in (("input", sequence.inputs, inputs), ("output", sequence.outputs, outputs)):
            rule = f"the convention has {title}s in {', '.join(sorted(allowed))}"
            for name, register in has:
                if register not in allowed:
                    raise DescriptionError(f"the {title} {name} of {sequence.step} is in {register}", rule=rule)
        if convention.block in sequence.clobbers:
            raise DescriptionError(f"{sequence.step} changes {convention.block}", rule="it holds the argument block")
