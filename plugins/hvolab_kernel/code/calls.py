# SPDX-License-Identifier: GPL-2.0-only
"""Calls between a kernel's functions, direct or through a register that the function itself has loaded."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab_kernel.code.dataflow import Registers, number_in, registers_before
from hvolab_kernel.code.instructions import Function, Instruction, function_named
from hvolab_vmlinux.kernel import Kernel


def callees(kernel: Kernel, name: str) -> frozenset[str]:
    """Return the names of the functions that a function calls, or jumps to at its end.

    Conditional branches are left out: those that leave a function go to parts of it that the compiler moved away, or
    belong to code that alternatives are patched from. Raises as `function_named` does.
    """
    function = function_named(kernel, name)
    leaving = function.isa.calls | function.isa.ends
    return frozenset(
        kernel.describe(target)
        for one, target in _targets(function)
        if one.mnemonic in leaving and not function.va <= target < function.end
    )


def returns_from(kernel: Kernel, name: str, target: int) -> tuple[int, ...]:
    """Return the VAs in a function to which its calls of the function at ``target`` return.

    Raises as `function_named` does.
    """
    function = function_named(kernel, name)
    return tuple(one.end for one, found in _targets(function) if one.mnemonic in function.isa.calls and found == target)


def target_of(one: Instruction, registers: Registers) -> int | None:
    """Return the VA that an instruction jumps to or calls; None where it does not jump or the VA is unknown.

    Far jumps and calls of riscv go to a register that `auipc` has loaded, plus a number.
    """
    if one.target is not None or one.mnemonic not in {"jalr", "jr"} or not one.operands:
        return one.target
    known = (each.register for each in reversed(one.operands) if each.register in registers)
    base = number_in(registers, next(known, ""))
    return None if base is None else (base + sum(operand.number for operand in one.operands)) % (1 << 64)


def _targets(function: Function) -> Iterator[tuple[Instruction, int]]:
    for one, registers in zip(function.instructions, registers_before(function, {}, {}, {}), strict=True):
        target = target_of(one, registers)
        if target is not None:
            yield one, target
