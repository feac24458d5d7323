# SPDX-License-Identifier: GPL-2.0-only
"""Functions of an object whose code is that of the image, whatever the addresses in it."""

from __future__ import annotations

from itertools import zip_longest

from hvolab.errors import HvolabError
from hvolab_kernel.code.calls import target_of
from hvolab_kernel.code.dataflow import registers_before
from hvolab_kernel.code.instructions import Function, function_named
from hvolab_vmlinux.kernel import Kernel
from hvolab_vmlinux.objects.overlay import Overlay

_PADDING = frozenset({"nop", "int3", "ud2", "c.nop", "endbr64"})
_HALVES = frozenset({"auipc", "adrp", "lui"})
#: Addresses of kernels are in the upper half.
_KERNEL_HALF = 1 << 63
_LONGEST_TEXT = 128


def same_functions(before: Kernel, made: Overlay) -> tuple[str, ...]:
    """Return the functions whose instructions are those of the same function in the kernel before.

    Addresses of code and data are compared by the names that they have. Functions that cannot be disassembled, or that
    several files have, do not count.
    """
    return tuple(name for name in made.replaced if _same(before, made.kernel, name))


def _same(before: Kernel, after: Kernel, name: str) -> bool:
    try:
        old, new = function_named(before, name), function_named(after, name)
    except HvolabError:
        return False
    return all(one == other for one, other in zip_longest(_shape(before, old), _shape(after, new)))


def _shape(kernel: Kernel, function: Function) -> list[tuple[str, ...]]:
    """Return mnemonics and operands of a function's instructions, addresses as names, without padding at the end."""
    found: list[tuple[str, ...]] = []
    for one, registers in zip(function.instructions, registers_before(function, {}, {}, {}), strict=True):
        mnemonic = one.mnemonic.removeprefix("c.")
        target = target_of(one, registers)
        if target is not None:
            inside = function.va <= target < function.end
            place = f"+{target - function.va:#x}" if inside else kernel.describe(target)
            found.append(("jump" if mnemonic in {"jr", "jalr", "jal", "j"} else mnemonic, place))
        elif mnemonic not in _HALVES:
            operands = [_named(kernel, operand.number % (1 << 64)) for operand in one.operands]
            found.append((mnemonic, *(operand.register for operand in one.operands), *operands))
    while found and found[-1][0] in _PADDING:
        found.pop()
    return found


def _named(kernel: Kernel, number: int) -> str:
    """Return a number in hex, or the symbol at an address, or the text there: constants have no symbols."""
    segment = kernel.image.segment_of(number) if number >= _KERNEL_HALF else None
    if segment is None:
        return f"{number:#x}"
    name = kernel.describe(number)
    if "+" not in name:
        return name
    offset = number - segment.va
    text = segment.content[offset : offset + _LONGEST_TEXT].tobytes().partition(b"\0")[0]
    return f'"{text.decode()}"' if text.isascii() and text.decode().isprintable() and text else name
