# SPDX-License-Identifier: GPL-2.0-only
"""Slips that only executing tells: instructions that do something else, and rules of the MMU that no CPU follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hvolab.arch import Architecture, EmulationPart, InstructionSequence, Match, Permission
from tests.core.conformance.mutants import ARM, SV39, X86, Mutant
from tests.core.conformance.slips import in_mmu

_NX, _PXN, _PXNTABLE = 1 << 63, 1 << 53, 1 << 59
_READ_BIT = 1 << 1
EFFECT, FLUSH = "every_sequence_has_its_declared_effect", "every_flush_has_its_declared_effect"
ACCESSES = "accesses_match_the_prediction"


def part_of(architecture: Architecture) -> EmulationPart:
    part = architecture.emulation
    assert part is not None
    return part


def in_step(architecture: Architecture, step: str, **changes: Any) -> Architecture:
    """With attributes of one sequence replaced."""

    def changed(sequence: InstructionSequence) -> InstructionSequence:
        return replace(sequence, **changes) if sequence.step == step else sequence

    part = part_of(architecture)
    return replace(architecture, emulation=replace(part, sequences=tuple(map(changed, part.sequences))))


EXECUTED = (
    Mutant(
        "a store to the next word",
        in_step(X86, "store", text="mov qword ptr [rdi + 8], rsi", code="48897708"),
        EFFECT,
    ),
    Mutant(
        "an exchange that takes its new value from another register",
        in_step(X86, "exchange_entry", text="mov rax, rsi; lock cmpxchg qword ptr [rdi], rcx", code="4889f0f0480fb10f"),
        EFFECT,
    ),
    Mutant(
        "a register that is changed and not named",
        in_step(ARM, "store_words", clobbers=("x0", "x1", "x2", "x9")),
        EFFECT,
    ),
    Mutant(
        "a load of four bytes",
        in_step(SV39, "load", text="lwu a6, 0(a0)", code="03680500"),
        EFFECT,
    ),
    Mutant("a flush that does nothing", in_step(ARM, "flush_all", text="isb", code="df3f03d5"), FLUSH),
    Mutant("a flush of another page", in_step(X86, "flush_page", text="invlpg byte ptr [rsi]", code="0f013e"), FLUSH),
)

#: What a description can say of the MMU without contradicting itself, and no CPU does: no other check sees it.
WALKED = (
    Mutant("NX of a table not looked at", in_mmu(X86, execute=Permission(Match(_NX, 0))), ACCESSES),
    Mutant(
        "code that EL0 can write to, executed by EL1",
        in_mmu(ARM, execute=Permission(Match(_PXN, 0), Match(_PXNTABLE, 0))),
        ACCESSES,
    ),
    Mutant("user pages that the kernel can read", in_mmu(SV39, read=Permission(Match(_READ_BIT, _READ_BIT))), ACCESSES),
)

EMULATION = (*EXECUTED, *WALKED)
