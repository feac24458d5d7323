# SPDX-License-Identifier: GPL-2.0-only
"""Context of a stopped call for its error message: return addresses on the stack, and the code around the stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hvolab.errors import HvolabError
from hvolab_kernel.code.instructions import function_named
from hvolab_vmlinux.kernel import Kernel

_MAX_FRAMES: Final = 32
#: Bytes before a return address that can hold the call instruction.
_CALL_BYTES: Final = 8
#: Instructions shown before and after the one that the call stopped at.
_AROUND: Final = 4


def _after_x86_call(code: bytes) -> bool:
    """Test for a relative, register or memory CALL at the end of eight bytes. Source: Intel SDM 2A."""
    if code[-5] == 0xE8:
        return True
    return any(code[-size] == 0xFF and (code[-size + 1] >> 3) & 7 == 2 for size in (2, 3, 4, 6, 7))


def _after_riscv_call(code: bytes) -> bool:
    """Test for a JAL, JALR or C.JALR that links to ra. Source: RISC-V unprivileged manual."""
    word = int.from_bytes(code[-4:], "little")
    half = int.from_bytes(code[-2:], "little")
    return word & 0xFFF in {0x0EF, 0x0E7} or (half & 0xF07F == 0x9002 and half & 0xF80 != 0)


def _after_arm64_call(code: bytes) -> bool:
    """Test for a BL or BLR. Source: Arm ARM C6.2."""
    word = int.from_bytes(code[-4:], "little")
    return word >> 26 == 0x25 or word & 0xFFFFFC1F == 0xD63F0000


_AFTER_CALL: Final[dict[str, Callable[[bytes], bool]]] = {
    "EM_X86_64": _after_x86_call,
    "EM_AARCH64": _after_arm64_call,
    "EM_RISCV": _after_riscv_call,
}


def return_addresses(kernel: Kernel, words: Sequence[int]) -> tuple[str, ...]:
    """Return those words of a stack, innermost first, that follow a call instruction, as symbol and offset.

    Words left behind by finished calls may be among them: kernels are built without frame pointers, and hvolab does
    not read their unwind tables.
    """
    after_call = _AFTER_CALL[kernel.image.machine]
    found = []
    for word in words:
        segment = kernel.image.segment_of(word)
        if segment is None or segment.per_cpu:
            continue
        offset = word - segment.va
        if not _CALL_BYTES <= offset <= segment.content.size:
            continue
        if after_call(segment.content[offset - _CALL_BYTES : offset].tobytes()):
            found.append(place_of(kernel, word, back=1))
    return tuple(found[:_MAX_FRAMES])


def place_of(kernel: Kernel, va: int, *, back: int = 0) -> str:
    """Return symbol and offset of a VA, and file and line where code of an object is there.

    back  bytes before the VA at which the line is looked up: a return address may begin the next line
    """
    source = "" if kernel.linked is None else kernel.linked.source_of(va - back)
    return f"{kernel.describe(va)} ({source})" if source else kernel.describe(va)


def instructions_around(kernel: Kernel, va: int) -> tuple[str, ...]:
    """Return the instructions of a function around `va`, each with its offset, the one at `va` marked by an arrow.

    Empty where the image has no code at `va`, or where no disassembler is installed.
    """
    try:
        function = function_named(kernel, f"{va:#x}")
    except HvolabError:
        return ()
    instructions = function.instructions
    index = next((index for index, one in enumerate(instructions) if one.va == va), None)
    if index is None:
        return ()
    return tuple(
        f"{'-> ' if one.va == va else ''}+{one.va - function.va:#x} {one.mnemonic} {one.text}".rstrip()
        for one in instructions[max(0, index - _AROUND) : index + _AROUND + 1]
    )
