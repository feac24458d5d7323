# SPDX-License-Identifier: GPL-2.0-only
"""Memory whose bytes are saved and restored: against copies, in any order, over the same addresses."""

from __future__ import annotations

import mmap
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hvolab.machine.memory import mapping
from hvolab.machine.memory.mapping import RestorableMapping

PAGES = 40
SIZE = PAGES * mmap.PAGESIZE
#: Store a byte at an offset, zero a page, save, or restore one of the states saved so far.
ACTION = st.one_of(
    st.tuples(st.just("store"), st.integers(0, SIZE - 1), st.integers(0, 255)),
    st.tuples(st.just("zero"), st.integers(0, PAGES - 1), st.just(0)),
    st.tuples(st.just("save"), st.just(0), st.just(0)),
    st.tuples(st.just("restore"), st.integers(0, 10), st.just(0)),
)


@pytest.mark.parametrize(("pagemap", "most_runs"), [(None, 1024), (None, 2), (Path("/nonexistent"), 1024)])
@given(actions=st.lists(ACTION, max_size=60))
@settings(max_examples=30)
def test_states_are_restored_as_copies_would_be(pagemap: Path | None, most_runs: int, actions: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapping, "_MOST_RUNS", most_runs)
        if pagemap is not None:
            patch.setattr(mapping, "_PAGEMAP", pagemap)
        memory = RestorableMapping(SIZE)
        address, model, saved = memory.octets.ctypes.data, bytearray(SIZE), []
        for action, place, value in actions:
            if action == "store":
                memory.octets[place] = model[place] = value
            elif action == "zero":
                memory.zero(place * mmap.PAGESIZE, mmap.PAGESIZE)
                model[place * mmap.PAGESIZE : (place + 1) * mmap.PAGESIZE] = bytes(mmap.PAGESIZE)
            elif action == "save":
                saved.append((memory.save(), bytes(model)))
            elif saved:
                restore, content = saved[place % len(saved)]
                restore()
                model[:] = content
            assert memory.octets.tobytes() == model
        assert memory.octets.ctypes.data == address


def private_pages(memory: RestorableMapping) -> list[int]:
    """Numbers of the host pages in private parts, between which there are others."""
    parts = mapping._private_parts(memory.octets)
    assert all(stop < begin for (_, stop), (begin, _) in pairwise(parts))
    return [page for begin, stop in parts for page in range(begin // mmap.PAGESIZE, stop // mmap.PAGESIZE)]


def test_private_parts_are_the_pages_that_were_stored_to_since_the_state_was_saved() -> None:
    memory = RestorableMapping(16 << 20)
    memory.octets[0] = 1
    memory.save()
    stored = [number for number in range(memory.octets.size // mmap.PAGESIZE) if number % 5 in {0, 2, 3}]
    memory.octets[np.array(stored) * mmap.PAGESIZE] = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapping, "_MOST_RUNS", len(stored))  # none are joined
        assert private_pages(memory) == stored
        patch.setattr(mapping, "_PAGEMAP_SCAN", 0)  # as on a host whose pagemap has no scan
        assert private_pages(memory) == stored
    assert set(stored) < set(private_pages(memory))


def test_zeroed_pages_of_a_saved_state_stay_zero_until_it_is_restored() -> None:
    memory = RestorableMapping(SIZE)
    memory.octets[:] = 7
    restore = memory.save()
    memory.zero(mmap.PAGESIZE, mmap.PAGESIZE)
    assert not memory.octets[mmap.PAGESIZE : 2 * mmap.PAGESIZE].any()
    restore()
    assert (memory.octets == 7).all()


def test_a_state_of_a_tebibyte_costs_what_was_touched() -> None:
    memory = RestorableMapping(1 << 34)
    memory.octets[1 << 33] = 1
    restore = memory.save()
    memory.octets[[0, 1 << 33, (1 << 34) - 1]] = 9
    restore()
    assert memory.octets[[0, 1 << 33, (1 << 34) - 1]].tolist() == [0, 1, 0]


def test_states_that_nobody_can_restore_give_their_files_back() -> None:
    def descriptors() -> int:
        return sum(
            "memfd:hvolab" in str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()
        )

    before = descriptors()
    memory = RestorableMapping(SIZE)
    restores = [memory.save() for _ in range(3)]
    assert descriptors() == before + 3
    del restores, memory
    assert descriptors() == before


def test_an_array_that_was_taken_before_shows_what_is_restored() -> None:
    memory = RestorableMapping(SIZE)
    view = memory.octets.view(np.uint64)
    view[3] = 5
    restore = memory.save()
    view[3] = 6
    restore()
    assert view[3] == 5


def test_parts_that_changed_since_a_state_are_whole_pages_clipped_to_the_range() -> None:
    memory, page = RestorableMapping(64 * mmap.PAGESIZE), mmap.PAGESIZE
    memory.octets[: 8 * page] = 1
    restore = memory.save()
    assert memory.changed(0, 64 * page) == []
    memory.octets[3 * page] = 2
    memory.octets[4 * page + 5] = 2
    memory.octets[20 * page] = 2
    assert memory.octets[6 * page] == 1  # read, not changed
    assert memory.changed(0, 64 * page) == [(3 * page, 5 * page), (20 * page, 21 * page)]
    assert memory.changed(3 * page + 100, 4 * page + 200) == [(3 * page + 100, 4 * page + 200)]
    assert memory.changed(5 * page, 20 * page) == []
    restore()
    assert memory.changed(0, 64 * page) == []
