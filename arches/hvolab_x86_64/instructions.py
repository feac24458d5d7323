"""x86_64 instruction sequences for what HVO does to memory and translation, as bytes beside their text."""

from __future__ import annotations

from hvolab.arch import EmulationPart, InstructionSequence

_SLOT = ("rdi", "VA of the entry")
_VA = ("rdi", "VA")

EMULATION = EmulationPart(
    disassembler=("CS_ARCH_X86", "CS_MODE_64"),
    sequences=(
        InstructionSequence(
            "write_entry",
            "mov qword ptr [rdi], rsi",
            "488937",
            (_SLOT, ("rsi", "the entry")),
            "the entry is stored; native_set_pte() is this plain store",
        ),
        InstructionSequence(
            "exchange_entry",
            "mov rax, rsi; lock cmpxchg qword ptr [rdi], rdx",
            "4889f0f0480fb117",
            (_SLOT, ("rsi", "expected entry"), ("rdx", "new entry")),
            "rax holds the entry that was there",
        ),
        InstructionSequence(
            "flush_page",
            "invlpg byte ptr [rdi]",
            "0f013f",
            (_VA,),
            "this CPU forgets the translation of the page",
        ),
        InstructionSequence(
            "flush_all",
            "mov rax, cr4; mov rcx, rax; xor rcx, 0x80; mov cr4, rcx; mov cr4, rax",
            "0f20e04889c14881f1800000000f22e10f22e0",
            (),
            "this CPU forgets every translation, global ones too: CR4.PGE is toggled",
        ),
        InstructionSequence(
            "barrier", "mfence", "0faef0", (), "every earlier load and store is visible before any later one"
        ),
        InstructionSequence("load", "mov rax, qword ptr [rdi]", "488b07", (_VA,), "rax holds the eight bytes"),
        InstructionSequence(
            "store",
            "mov qword ptr [rdi], rsi",
            "488937",
            (_VA, ("rsi", "eight bytes")),
            "the eight bytes are stored",
        ),
        InstructionSequence(
            "compare_and_swap",
            "mov rax, rsi; lock cmpxchg qword ptr [rdi], rdx",
            "4889f0f0480fb117",
            (_VA, ("rsi", "expected"), ("rdx", "new")),
            "rax holds what was there; write permission is needed even when the comparison fails",
        ),
        InstructionSequence(
            "copy_page",
            "cld; rep movsq qword ptr [rdi], qword ptr [rsi]",
            "fcf348a5",
            (("rdi", "VA to copy to"), ("rsi", "VA to copy from"), ("rcx", "eight-byte words in a page")),
            "the page is copied",
        ),
    ),
)
