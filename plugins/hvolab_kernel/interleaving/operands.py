# SPDX-License-Identifier: GPL-2.0-only
"""Address that an instruction is about to access, from the registers of its operand."""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab_kernel.code.instructions import Operand, function_named
from hvolab_vmlinux.kernel import Kernel


def operand_at(kernel: Kernel, va: int) -> Operand | None:
    """Return the only memory operand of an instruction; None where its address is not base plus displacement."""
    try:
        function = function_named(kernel, f"{va:#x}")
    except HvolabError:  # no disassembler
        return None
    found = next((one for one in function.instructions if one.va == va), None)
    if found is None or "gs:" in found.text or "fs:" in found.text:
        return None
    memory = [one for one in found.operands if one.memory]
    return memory[0] if len(memory) == 1 and not memory[0].index else None
