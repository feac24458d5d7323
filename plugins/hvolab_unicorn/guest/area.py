"""A CPU's share of the frames that the machine sets aside: argument block, tables for exceptions, stack, buffer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.errors import MachineError, UsageError
from hvolab.machine import Machine
from hvolab.machine.cpus.guest import GuestArea

#: Offsets in an area: the block is first; then room for descriptor tables; the stack ends where the buffer begins.
_TABLES, _BUFFER = 0x100, 0x1000
_MOST_FRAMES = 16


class Area:
    """The area of one CPU.

    text_va, text_bytes  the text, which all CPUs share
    block   VA of the argument block
    tables  VA of room for descriptor tables
    stack   VA of the top of the stack
    buffer  VA of the buffer
    words   the buffer, as words
    """

    def __init__(self, machine: Machine, guest: GuestArea, first: int, frames: int) -> None:
        self._memory = machine.memory
        self._linear = machine.virt(0)
        self._text = guest.text
        shift = machine.target.mode.page_shift
        self.text_va = guest.text_va
        self.text_bytes = guest.text[1] - guest.text[0] << shift
        self.block = machine.page_to_virt(first)
        self.tables = self.block + _TABLES
        self.stack = self.buffer = self.block + _BUFFER
        pa = (first << shift) + _BUFFER
        self.words: npt.NDArray[np.uint64] = machine.memory.word_view(pa, ((frames << shift) - _BUFFER) // 8)

    def install(self, text: bytes) -> memoryview:
        """Put the text in its frames, unless another CPU has: translated code must not change under it.

        Gives the bytes in memory.
        """
        memory = self._memory
        pa = self._text[0] << memory.page_shift
        there = memory.view(pa, len(text))
        if there.tobytes() != text:
            if there.any():
                raise MachineError("the machine has another guest text already", where=f"PA {pa:#x}")
            there[:] = np.frombuffer(text, dtype=np.uint8)
        return there.data

    def view(self, va: int, size: int) -> memoryview:
        """The bytes there, not copied."""
        return self._memory.view(va - self._linear, size).data

    def read(self, va: int, size: int) -> bytes:
        """The bytes there."""
        return self._memory.view(va - self._linear, size).tobytes()

    def write(self, va: int, data: bytes) -> None:
        """Put bytes there."""
        self._memory.view(va - self._linear, len(data))[:] = np.frombuffer(data, dtype=np.uint8)

    def word(self, va: int) -> int:
        """The word there."""
        return self._memory.read_word(va - self._linear)

    def put_word(self, va: int, value: int) -> None:
        """Put a word there."""
        self._memory.write_word(va - self._linear, value)


def area_of(machine: Machine, index: int) -> Area:
    """The area of CPU ``index``; raises UsageError for a machine without any, or with too many CPUs."""
    guest = machine.guest
    if guest is None:
        raise UsageError(
            "the machine has no guest text: an emulated CPU has nowhere to be",
            where=str(machine.target),
            hint="build it by build_machine(), or map guest text by map_guest_text()",
        )
    first, stop = guest.frames
    least = -(-2 * _BUFFER >> machine.target.mode.page_shift) or 1
    share = min(_MOST_FRAMES, (stop - first) // max(1, len(machine.cpus)))
    if share < least:
        raise UsageError(f"{len(machine.cpus)} CPUs are too many to emulate", hint=f"at most {(stop - first) // least}")
    return Area(machine, guest, first + index * share, share)
