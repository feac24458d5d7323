# SPDX-License-Identifier: GPL-2.0-only
"""Operands of the instructions that access what CPUs share: their registers have the address."""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab_kernel.code.instructions import Operand, function_named
from hvolab_vmlinux.kernel import Kernel


def operands_at(kernel: Kernel, va: int) -> tuple[Operand, ...]:
    """Return the memory operands of an instruction, that of a store first and that of a load last.

    Empty where one of them has an address that is not base plus displacement, and without a disassembler.
    """
    try:
        function = function_named(kernel, f"{va:#x}")
    except HvolabError:  # no disassembler
        return ()
    found = next((one for one in function.instructions if one.va == va), None)
    if found is None or "gs:" in found.text or "fs:" in found.text:
        return ()
    memory = tuple(one for one in found.operands if one.memory)
    return () if any(one.index for one in memory) else memory
