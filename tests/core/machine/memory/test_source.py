# SPDX-License-Identifier: GPL-2.0-only
"""Memory whose frames are read from a source when they are first used."""

from __future__ import annotations

import numpy as np
import pytest

from hvolab.errors import AbsentMemoryError
from hvolab.machine import FrameState, PhysicalMemory
from hvolab.machine.memory.source import Octets, Pfns

A, N, Z, S = FrameState
FIRST = 0x100
KNOWN = (S, Z, N, A, S)


class Written:
    """A source whose saved frames are filled with their PFN; it notes what is read."""

    def __init__(self) -> None:
        self.reads: list[int] = []

    def states(self, pfns: Pfns) -> Octets:
        found = [KNOWN[pfn - FIRST] if FIRST <= pfn < FIRST + len(KNOWN) else A for pfn in pfns.tolist()]
        return np.array(found, dtype=np.uint8)

    def read(self, pfns: Pfns, size: int) -> Octets:
        self.reads += pfns.tolist()
        rows = np.repeat((pfns & 0xFF).astype(np.uint8)[:, None] + np.uint8(1), size, axis=1)
        rows[self.states(pfns) == Z] = 0
        return rows


def memory() -> tuple[PhysicalMemory, Written]:
    source = Written()
    return PhysicalMemory(FIRST << 12, 16 << 12, page_shift=12, source=source), source


def test_states_are_those_of_the_source_until_a_frame_is_added() -> None:
    made, source = memory()
    pfns = np.array([-1, 0, *range(FIRST, FIRST + 6), FIRST + 16])
    assert made.states(pfns).tolist() == [A, A, *KNOWN, A, A]
    assert made.held(pfns).tolist() == [state >= Z for state in (A, A, *KNOWN, A, A)]
    made.add(FIRST + 3, 1)
    assert made.states(pfns)[5] == S
    made.discard(np.array([FIRST + 3]))
    assert made.states(pfns)[5] == A
    assert source.reads == []


def test_a_frame_is_read_once_when_it_is_first_used() -> None:
    made, source = memory()
    assert made.read_word(FIRST << 12) == 0x0101010101010101
    assert made.read_word((FIRST << 12) + 8) == 0x0101010101010101
    assert made.holds(FIRST + 1 << 12)
    assert made.read_word(FIRST + 1 << 12) == 0
    assert source.reads == [FIRST]
    made.write_word(FIRST << 12, 7)
    assert made.read_word(FIRST << 12) == 7


def test_frames_that_were_not_saved_say_so() -> None:
    made, _ = memory()
    with pytest.raises(AbsentMemoryError, match="is not in the core: it was not saved"):
        made.read_word(FIRST + 2 << 12)
    with pytest.raises(AbsentMemoryError, match="is not in the core; where: PFN 0x103"):
        made.read_word(FIRST + 3 << 12)
    with pytest.raises(AbsentMemoryError, match="it was not saved"):
        made.view(FIRST << 12, 5 << 12)


def test_a_look_keeps_nothing_and_sees_stores() -> None:
    made, source = memory()
    made.write_word(FIRST << 12, 7)
    pfns = np.array([FIRST + 4, FIRST, FIRST + 2, FIRST + 1])
    assert made.peek_words(pfns, 2).tolist() == [[0x0505050505050505] * 2, [7, 0x0101010101010101], [0, 0], [0, 0]]
    assert made.present is not None
    assert made.present.nonzero()[0].tolist() == [0]
    assert source.reads[:2] == [FIRST, FIRST + 4]


def test_a_restored_state_reads_frames_again_that_were_read_after_it_was_saved() -> None:
    made, _ = memory()
    restore = made.save()
    assert made.read_word(FIRST + 4 << 12) == 0x0505050505050505
    made.write_word(FIRST + 4 << 12, 9)
    restore()
    assert made.read_word(FIRST + 4 << 12) == 0x0505050505050505
