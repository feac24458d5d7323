"""The optional emulation part of a description: the architecture's own instructions for what HVO does."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hvolab.arch.entry import EntryForm, EntryKind
from hvolab.arch.fields import AddressPart, EntryRule, Match, set_bits
from hvolab.arch.geometry import PagingMode
from hvolab.arch.steps import ARGUMENTS, STEP_BY_NAME
from hvolab.errors import DescriptionError

if TYPE_CHECKING:
    from hvolab.arch.target import Target

_NAME = re.compile(r"[A-Za-z]\w*")
#: Words of the notation of effects that are no registers.
_WORDS = frozenset(
    {*["for", "until", "if", "byte", "tlb", "none", "order", "stores", "walks", "fetches", "pc", "wait", "i", "j"]}
)


@dataclass(frozen=True)
class InstructionSequence:
    """One step as machine code.

    step      what it does, a name in :data:`hvolab.arch.STEPS`
    text      instructions separated by ``; ``, as a disassembler prints them for code at address 0
    code      the bytes, in hex
    inputs    (name, register) of what it finds in registers
    outputs   (name, register) of what it leaves in them
    clobbers  registers that it changes beside those
    effect    what it does, in registers; the notation is that of the steps
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

        def named(found: re.Match[str]) -> str:
            """What the contract calls a word of the effect."""
            word = found.group()
            if word in names:
                return names[word]
            if word in _WORDS:
                return word
            raise DescriptionError(
                f"the effect of {self.step} names {word!r}, which is neither input nor output",
                where=self.effect,
                hint="declare what the register holds, or use the words of the notation: hvolab.arch.steps",
            )

        return _NAME.sub(named, self.effect)

    def check(self) -> None:
        """Raise DescriptionError where bytes or text are missing, or the step's contract is not kept."""
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
            if tuple(name for name, _ in has) != needs:
                raise DescriptionError(
                    f"the {title} of {self.step} are {', '.join(name for name, _ in has) or 'none'}",
                    rule=f"its contract: {', '.join(needs) or 'none'}",
                )
        registers = [register for _, register in (*self.inputs, *self.outputs)]
        if len(set(registers)) != len(registers):
            raise DescriptionError(f"two inputs or outputs of {self.step} share a register", where=str(registers))
        if step.effect and self.effect_in_names != step.effect:
            raise DescriptionError(
                f"the effect of {self.step} is {self.effect_in_names!r}", rule=f"its contract: {step.effect}"
            )


@dataclass(frozen=True)
class Convention:
    """How sequences get their arguments, and what an emulator is asked about.

    block      register that holds the VA of the argument block; no sequence changes it
    arguments  registers that ``enter`` fills from it
    result     register that ``leave`` puts into it: where every step has its output
    stack      stack pointer
    counter    program counter
    records    names of the registers that ``handler`` records, in order; those that the architecture's syndrome has
               bear its names
    """

    block: str
    arguments: tuple[str, ...]
    result: str
    stack: str
    counter: str
    records: tuple[str, ...]


@dataclass(frozen=True)
class RegisterSetting:
    """A register of the CPU before the first instruction, by the name of the emulator's constant, or by number.

    name   constant of the emulator without its prefix (``CR3``), ``msr`` or ``cp_reg``
    value  what it holds
    at     number of the MSR; op0, op1, CRn, CRm, op2 of the system register
    """

    name: str
    value: int
    at: tuple[int, ...] = ()


@dataclass(frozen=True)
class EmulatorLimit:
    """Something that the emulator does otherwise than the architecture, and why.

    reason       in words
    modes, features, releases  where it matters: a target with one of each that is named; empty: any
    without      features with which it does not matter
    refuses      whether such a target is not emulated at all; else only the difference is declared
    """

    reason: str
    modes: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    refuses: bool = True

    def concerns(self, target: Target) -> bool:
        """Whether it matters for that target."""
        return (
            (not self.modes or target.mode.name in self.modes)
            and (not self.features or bool(set(self.features) & set(target.features)))
            and (not self.releases or target.release in self.releases)
            and not set(self.without) & set(target.features)
        )


@dataclass(frozen=True)
class CpuMode:
    """A state of the CPU's control registers other than the kernel's, in which walks allow something else.

    name, summary  what it is called, and what it is
    settings       registers that are set after those of the kernel
    mmu            attributes of MmuRules that it changes
    clears         fields that every pgprot loses: reserved then
    reserves       bits of every entry that are reserved then
    source         manual section
    """

    name: str
    summary: str
    settings: tuple[RegisterSetting, ...] = ()
    mmu: tuple[tuple[str, Any], ...] = ()
    clears: tuple[str, ...] = ()
    reserves: int = 0
    source: str = ""

    def applied(self, target: Target) -> Target:
        """The target in this state."""
        rule = EntryRule(Match(self.reserves, 0), f"bits {self.reserves:#x} are reserved: {self.summary}", self.source)
        broken = tuple(replace(rule, broken_by=Match(1 << bit, 1 << bit)) for bit in set_bits(self.reserves))
        forms = tuple(replace(form, rules=(*form.rules, *broken)) for form in target.mode.format.forms)
        pgprots = tuple(
            (role, replace(pgprot, fields=tuple(pair for pair in pgprot.fields if pair[0] not in self.clears)))
            for role, pgprot in target.pgprots
        )
        return replace(
            target,
            mode=replace(target.mode, format=replace(target.mode.format, forms=forms)),
            pgprots=pgprots,
            mmu=replace(target.mmu, **dict(self.mmu)),
            cpu_mode=self,
        )


@dataclass(frozen=True)
class WalkLimit:
    """What the walks of the emulator do otherwise than the architecture's, as changes to the description.

    reason           in words
    mmu              attributes of MmuRules that it changes
    ignored          (kind of entry, bits) that the architecture looks at and the emulator does not
    widened          (kind of entry, part) of the address that the emulator takes from bits that the architecture
                     reserves
    low_address      whether the low bits of a large leaf's address are or-ed to the PA, where they should be zero
    leaves           names of levels at which it takes for a leaf what would be one at the next level that has leaves
    loads_first      whether an atomic operation that is refused is reported as a load where a load is refused too
    flags_on_fault   whether it sets accessed flags of entries whose access it refuses
    without          features with which it does not matter
    """

    reason: str
    mmu: tuple[tuple[str, Any], ...] = ()
    ignored: tuple[tuple[EntryKind, int], ...] = ()
    widened: tuple[tuple[EntryKind, AddressPart], ...] = ()
    low_address: bool = False
    leaves: tuple[str, ...] = ()
    loads_first: bool = False
    flags_on_fault: bool = False
    without: tuple[str, ...] = ()

    def applied(self, target: Target) -> Target:
        """The target as the emulator has it."""
        mode = target.mode
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
        forms = (*forms, *(self._leaf(mode, name) for name in self.leaves if name in {lv.name for lv in mode.levels}))
        mode = replace(mode, format=replace(mode.format, forms=forms))
        return replace(target, mode=mode, mmu=replace(target.mmu, **dict(self.mmu)))

    def _leaf(self, mode: PagingMode, name: str) -> EntryForm:
        """The form of a leaf at that level: as at the next level that has one, but for what it maps."""
        shift = mode.level(name).shift
        below = mode.levels[mode.levels.index(mode.level(name)) + 1 :]
        like = next(form for form in (mode.format.leaf_form(level.name) for level in below) if form is not None)
        first = like.address[0]
        high = first.low + first.width
        part = AddressPart(first.low + shift - first.physical, high - (first.low + shift - first.physical), shift)
        return replace(like, levels=(name,), address=(part, *like.address[1:]))


#: (target, PA of the root table) -> registers in the order in which they are set.
RegisterSetup = Callable[["Target", int], tuple[RegisterSetting, ...]]


@dataclass(frozen=True)
class EmulationPart:
    """What an emulator needs to carry out the steps on a guest CPU.

    disassembler   (architecture, mode) by the names of capstone's constants
    emulator       (architecture, mode) by the names of unicorn's constants
    convention     which registers sequences use
    sequences      one for each step
    registers      switches the MMU on
    model          name of unicorn's constant for the CPU model; empty: the default one
    flush_ceiling  most pages of a range that are flushed one by one, as the kernel does, and not with everything else;
                   0: as many as a table of the last level has entries
    limits         what the emulator cannot do
    walks          what its walks do otherwise
    cpu_modes      states of the CPU in which its walks can be tried beside the kernel's
    source         where registers and ceiling come from
    """

    disassembler: tuple[str, str]
    emulator: tuple[str, str]
    convention: Convention
    sequences: tuple[InstructionSequence, ...]
    registers: RegisterSetup = field(repr=False)
    model: str = ""
    flush_ceiling: int = 1
    limits: tuple[EmulatorLimit, ...] = ()
    walks: tuple[WalkLimit, ...] = ()
    cpu_modes: tuple[CpuMode, ...] = ()
    source: str = ""

    def sequence(self, step: str) -> InstructionSequence | None:
        """The sequence of that step, if it is declared."""
        return next((sequence for sequence in self.sequences if sequence.step == step), None)

    def ceiling(self, mode: PagingMode) -> int:
        """Most pages that are flushed one by one in a mode."""
        return self.flush_ceiling or mode.last.entries

    def settings(self, target: Target, root: int) -> tuple[RegisterSetting, ...]:
        """Every register to set, in order: those that switch the MMU on, and those of the target's CPU mode."""
        return (*self.registers(target, root), *(() if target.cpu_mode is None else target.cpu_mode.settings))

    def walk_limits(self, target: Target) -> tuple[WalkLimit, ...]:
        """What walks do otherwise for a target."""
        return tuple(limit for limit in self.walks if not set(limit.without) & set(target.features))

    def refusal(self, target: Target) -> str:
        """Why the target is not emulated; empty where it is."""
        return "; ".join(limit.reason for limit in self.limits if limit.refuses and limit.concerns(target))

    def differences(self, target: Target) -> tuple[str, ...]:
        """What the emulator does otherwise for a target that it does emulate."""
        return tuple(limit.reason for limit in self.limits if not limit.refuses and limit.concerns(target))

    def check(self) -> None:
        """Raise DescriptionError for a sequence that breaks its contract, a missing one, or two of one step."""
        steps = [sequence.step for sequence in self.sequences]
        for sequence in self.sequences:
            sequence.check()
            if steps.count(sequence.step) > 1:
                raise DescriptionError(f"the sequence {sequence.step} is declared twice")
            self._check_registers(sequence)
        if missing := [step for step in STEP_BY_NAME if step not in steps]:
            raise DescriptionError(f"no sequence for {', '.join(missing)}", rule="an emulated CPU needs every step")
        arguments = self.convention.arguments
        if len(arguments) != ARGUMENTS or self.convention.result in arguments:
            raise DescriptionError(
                f"arguments in {', '.join(arguments)}, result in {self.convention.result}",
                rule=f"{ARGUMENTS} registers for arguments, and another one for the result",
            )

    def _check_registers(self, sequence: InstructionSequence) -> None:
        """Inputs come in the registers of arguments, outputs go to that of the result, the block stays where it is."""
        convention = self.convention
        inputs, outputs = set(convention.arguments), {convention.result}
        if sequence.step == "enter":
            inputs, outputs = {convention.block}, set(convention.arguments)
        elif sequence.step in {"leave", "handler"}:
            inputs = {convention.block, convention.result}
        for title, has, allowed in (("input", sequence.inputs, inputs), ("output", sequence.outputs, outputs)):
            for name, register in has:
                if register not in allowed:
                    raise DescriptionError(
                        f"the {title} {name} of {sequence.step} is in {register}",
                        rule=f"the convention has {title}s in {', '.join(sorted(allowed))}",
                    )
        if convention.block in sequence.clobbers:
            raise DescriptionError(f"{sequence.step} changes {convention.block}", rule="it holds the argument block")
