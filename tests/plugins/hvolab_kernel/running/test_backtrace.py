# SPDX-License-Identifier: GPL-2.0-only
"""Return addresses on a stack, and instructions around an address."""

from __future__ import annotations

import pytest

from hvolab_kernel.running.backtrace import instructions_around, return_addresses
from hvolab_vmlinux.open import read_kernel
from tests.plugins.hvolab_vmlinux.made_up_kernels import HVO_6_12, MadeUp, addresses, elf_image

#: A call instruction at offset 8 of a symbol, which ends at offset 8 plus its length, by ELF machine.
CALLS = {
    "EM_X86_64": [bytes.fromhex("e800000000"), bytes.fromhex("ffd0"), bytes.fromhex("ff5008")],
    "EM_AARCH64": [bytes.fromhex("00000094"), bytes.fromhex("20003fd6")],
    "EM_RISCV": [bytes.fromhex("ef000000"), bytes.fromhex("e7800700"), bytes.fromhex("0295")],
}
NOPS = {"EM_X86_64": b"\x90", "EM_AARCH64": bytes.fromhex("1f2003d5"), "EM_RISCV": bytes.fromhex("0100")}


@pytest.mark.parametrize(("machine", "call"), [(machine, call) for machine, calls in CALLS.items() for call in calls])
def test_only_words_after_a_call_are_return_addresses(machine: str, call: bytes) -> None:
    nop = NOPS[machine]
    code = (nop * 8)[:8] + call + (nop * 16)[:16]
    made = MadeUp(machine, symbols=(*HVO_6_12, "caller"), code={"caller": code})
    kernel, va = read_kernel(elf_image(made), "here"), addresses(made)["caller"]
    after = 8 + len(call)
    words = [0, va + after, va + after + 8, made.base - 8, va + 8]
    assert return_addresses(kernel, words) == (f"caller+{after:#x}",)


def test_a_backtrace_has_an_upper_bound() -> None:
    made = MadeUp(symbols=(*HVO_6_12, "caller"), code={"caller": bytes(8) + CALLS["EM_X86_64"][0]})
    kernel, va = read_kernel(elf_image(made), "here"), addresses(made)["caller"]
    assert len(return_addresses(kernel, [va + 13] * 100)) == 32


def test_instructions_are_shown_with_an_arrow_at_the_address() -> None:
    pytest.importorskip("capstone", reason="no disassembler: pip install 'hvolab[kernel]'")
    made = MadeUp(symbols=(*HVO_6_12, "caller"), code={"caller": b"\x90" * 64})
    kernel, va = read_kernel(elf_image(made), "here"), addresses(made)["caller"]
    lines = instructions_around(kernel, va + 8)
    assert [line.split()[0] for line in lines] == [*(f"+{offset:#x}" for offset in range(4, 8)), "->"] + [
        f"+{offset:#x}" for offset in range(9, 13)
    ]
    assert lines[4] == "-> +0x8 nop"
    assert instructions_around(kernel, made.base - 1) == ()
