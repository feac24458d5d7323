"""The functions that were under way when a call ended, found on the stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from hvolab_vmlinux.kernel import Kernel

_MOST: Final = 32


def _after_x86_call(code: bytes) -> bool:
    """Whether the last of these eight bytes end a CALL: relative, or through a register or memory. Intel SDM 2A."""
    if code[-5] == 0xE8:
        return True
    return any(code[-size] == 0xFF and (code[-size + 1] >> 3) & 7 == 2 for size in (2, 3, 4, 6, 7))


def _after_riscv_call(code: bytes) -> bool:
    """Whether the last of these bytes end a JAL or JALR, or C.JALR, that links to ra. RISC-V unprivileged manual."""
    whole = int.from_bytes(code[-4:], "little")
    half = int.from_bytes(code[-2:], "little")
    return whole & 0xFFF in {0x0EF, 0x0E7} or (half & 0xF07F == 0x9002 and half & 0xF80 != 0)


def _after_arm64_call(code: bytes) -> bool:
    """Whether the last of these bytes are a BL or BLR. Arm ARM C6.2."""
    whole = int.from_bytes(code[-4:], "little")
    return whole >> 26 == 0x25 or whole & 0xFFFFFC1F == 0xD63F0000


_AFTER_CALL: Final[dict[str, Callable[[bytes], bool]]] = {
    "EM_X86_64": _after_x86_call,
    "EM_AARCH64": _after_arm64_call,
    "EM_RISCV": _after_riscv_call,
}
_LOOKED_AT: Final = 8


def return_addresses(kernel: Kernel, words: Sequence[int]) -> tuple[str, ...]:
    """Those words of a stack, innermost first, that lead behind a call instruction, as symbol and offset.

    A word that a finished call has left there may be among them: kernels are built without frame pointers, and their
    unwinding tables are not read.
    """
    after_call = _AFTER_CALL[kernel.image.machine]
    found = []
    for word in words:
        segment = kernel.image.segment_of(word)
        if segment is None or segment.per_cpu or word - segment.va < _LOOKED_AT:
            continue
        offset = word - segment.va
        if offset > segment.content.size:
            continue
        if after_call(segment.content[offset - _LOOKED_AT : offset].tobytes()):
            found.append(kernel.describe(word))
    return tuple(found[:_MOST])
