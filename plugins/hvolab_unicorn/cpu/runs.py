"""Bulk operations as loops in the guest, with arguments and results in a buffer of the CPU's guest area."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hvolab.arch import PageFault
from hvolab.arithmetic import WORD_BYTES
from hvolab_unicorn.cpu.vcpu import VirtualCpu

Words = npt.NDArray[np.uint64]
#: Links that are followed at first: most lists are short.
_FEW_LINKS = 128


class Runs:
    """Loops of one CPU; each fills the buffer as often as it must."""

    def __init__(self, vcpu: VirtualCpu) -> None:
        self._call = vcpu.call
        self._stuck = vcpu.stuck
        self._routines = vcpu.routines
        self._words = vcpu.area.words
        self._octets = self._words.view(np.uint8)
        self._buffer = vcpu.area.buffer
        self._half = self._words.size // 2
        self._second = self._buffer + self._half * WORD_BYTES

    # bytes

    def load(self, va: int, size: int) -> bytes:
        """Return the bytes ``[va, va + size)``."""
        parts, room = [], self._octets.size
        for done in range(0, size, room):
            part = min(room, size - done)
            self._copy(self._buffer, va + done, part)
            parts.append(self._octets[:part].tobytes())
        return b"".join(parts)

    def store(self, va: int, data: bytes) -> None:
        """Store bytes, ascending."""
        room = self._octets.size
        for done in range(0, len(data), room):
            part = data[done : done + room]
            self._octets[: len(part)] = np.frombuffer(part, dtype=np.uint8)
            self._copy(va + done, self._buffer, len(part))

    def _copy(self, to_va: int, from_va: int, size: int) -> None:
        step, count = (
            ("copy_bytes", size) if (to_va | from_va | size) % WORD_BYTES else ("copy_words", size // WORD_BYTES)
        )
        self._call(self._routines[step], to_va, from_va, count, work=count)

    def can_touch(self, va: int) -> bool:
        """Return whether the word at ``va`` may be stored to, without changing it."""
        try:
            self._call(self._routines["touch"], va)
        except PageFault:
            return False
        return True

    # words

    def load_words(self, vas: Words) -> Words:
        """Return the word at each VA."""
        found = np.empty(vas.size, dtype=np.uint64)
        for first in range(0, vas.size, self._words.size):
            part = vas[first : first + self._words.size]
            self._words[: part.size] = part
            self._call(self._routines["load_words"], self._buffer, self._buffer, part.size, work=part.size)
            found[first : first + part.size] = self._words[: part.size]
        return found

    def store_words(self, vas: Words, values: Words) -> None:
        """Store a word at each VA."""
        for first in range(0, vas.size, self._half):
            count = self._put(vas[first : first + self._half], values[first : first + self._half])
            self._call(self._routines["store_words"], self._buffer, self._second, count, work=count)

    def load_chain(self, va: int, end: int) -> Words:
        """Return the links of a chain; raises GuestStuckError for one that returns to a link of its own."""
        parts, room, routine = list[Words](), _FEW_LINKS, self._routines["load_chain"]
        passed, look_out_until = va, 1
        while True:
            count = self._call(routine, va, end, self._buffer, room, work=room)
            if count:
                parts.append(self._words[:count].astype(np.uint64))
                va = int(parts[-1][-1])
            if count < room:
                break
            if (parts[-1] == np.uint64(passed)).any():
                raise self._stuck(routine, f"follows a chain that comes back to VA {passed:#x} and has no end")
            if len(parts) == look_out_until:  # twice as long each time: longer than any circle in the end
                passed, look_out_until = va, 2 * len(parts)
            room = self._words.size
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint64)

    def copy(self, to_vas: Words, from_vas: Words, words: int) -> None:
        """Copy a run of words for each pair of VAs."""
        for first in range(0, to_vas.size, self._half):
            count = self._put(to_vas[first : first + self._half], from_vas[first : first + self._half])
            self._call(self._routines["copy_runs"], self._buffer, self._second, count, words, work=count * words)

    def _put(self, first: Words, second: Words) -> int:
        """Put two arrays into the halves of the buffer; return their length."""
        self._words[: first.size] = first
        self._words[self._half : self._half + second.size] = second
        return int(first.size)

    # entries

    def write_rows(self, slot_vas: Words, rows: Words) -> None:
        """Store a row of entries from each slot on; a row that exceeds the buffer is stored piece by piece."""
        columns = rows.shape[1]
        room = self._words.size - 1
        if columns > room:
            for first in range(0, columns, room):
                self.write_rows(slot_vas + np.uint64(first * WORD_BYTES), rows[:, first : first + room])
            return
        step = self._words.size // (columns + 1)
        for first in range(0, slot_vas.size if columns else 0, step):
            part = rows[first : first + step]
            count = part.shape[0]
            self._words[:count] = slot_vas[first : first + step]
            self._words[count : count + part.size] = part.ravel()
            entries = self._buffer + count * WORD_BYTES
            self._call(self._routines["write_entry_rows"], self._buffer, entries, count, columns, work=part.size)
