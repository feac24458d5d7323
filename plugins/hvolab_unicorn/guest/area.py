# SPDX-License-Identifier: GPL-2.0-only
"""Frames that the machine reserves for one emulated CPU: argument block, descriptor tables, stack and buffer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_BYTES, div_round_up
from hvolab.errors import MachineError, UsageError
from hvolab.machine import Machine
from hvolab.machine.cpus.guest import GuestArea

#: Offsets in an area: the block is first, then room for descriptor tables; the stack ends where the buffer begins.
_TABLES, _BUFFER = 0x100, 0x1000
_MOST_FRAMES = 16


class Area:
    """Area of one CPU. VAs are those of the direct map.

    text_va, text_bytes  the text, which all CPUs share
    block   VA of the argument block
    tables  VA of 512 bytes for descriptor tables
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
        pa, size = (first << shift) + _BUFFER, (frames << shift) - _BUFFER
        self.words: npt.NDArray[np.uint64] = machine.memory.word_view(pa, size // WORD_BYTES)

    def install(self, text: bytes) -> None:
        """Copy the text to its frames, unless another CPU has: translated code must not change below it.

        Raises MachineError where the frames hold another text.
        """
        memory = self._memory
        pa = self._text[0] << memory.page_shift
        present = memory.view(pa, len(text))
        if present.tobytes() != text:
            if present.any():
                raise MachineError("the machine has another guest text already", where=f"PA {pa:#x}")
            present[:] = np.frombuffer(text, dtype=np.uint8)

    def view(self, va: int, size: int) -> memoryview:
        """Return `size` bytes at `va`, not copied."""
        return self._memory.view(va - self._linear, size).data

    def write(self, va: int, data: bytes) -> None:
        """Store bytes at `va`."""
        self.view(va, len(data))[:] = data

    def put_word(self, va: int, value: int) -> None:
        """Store a word at `va`."""
        self._memory.write_word(va - self._linear, value)


def area_of(machine: Machine, index: int) -> Area:
    """Return the area of CPU `index`; raises UsageError for a machine without guest text, or with too many CPUs."""
    guest = machine.guest
    if guest is None:
        raise UsageError(
            "the machine has no guest text, which an emulated CPU executes",
            where=str(machine.target),
            hint="build it by build_machine(), or map guest text by map_guest_text()",
        )
    first, stop = guest.frames
    least = div_round_up(2 * _BUFFER, machine.target.mode.page_size)
    share = min(_MOST_FRAMES, (stop - first) // max(1, len(machine.cpus)))
    if share < least:
        raise UsageError(f"{len(machine.cpus)} CPUs are too many to emulate", hint=f"at most {(stop - first) // least}")
    return Area(machine, guest, first + index * share, share)
