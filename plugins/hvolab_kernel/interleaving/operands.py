# SPDX-License-Identifier: GPL-2.0-only
"""Operands of the instructions that access what CPUs share: their registers have the address."""

from __future__ import annotations

from hvolab.errors import HvolabError
from hvolab_kernel.code.instructions import Operand, instruction_at
from hvolab_vmlinux.kernel import Kernel, cached_per_kernel


@cached_per_kernel
def _known_of(kernel: Kernel) -> dict[int, tuple[Operand, ...]]:
    """Return the operands that were already looked up, by VA."""
    del kernel
    return {}


def operands_at(kernel: Kernel, va: int) -> tuple[Operand, ...]:
    """Return the memory operands of an instruction, that of a store first and that of a load last.

    Empty where one of them has an address that is not base plus displacement, and without a disassembler.
    """
    known = _known_of(kernel)
    if va not in known:
        known[va] = _operands(kernel, va)
    return known[va]


def _operands(kernel: Kernel, va: int) -> tuple[Operand, ...]:
    try:
        found = instruction_at(kernel, va)
    except HvolabError:  # no disassembler
        return ()
    if found is None or "gs:" in found.text or "fs:" in found.text:
        return ()
    memory = tuple(one for one in found.operands if one.memory)
    return () if any(one.index for one in memory) else memory
