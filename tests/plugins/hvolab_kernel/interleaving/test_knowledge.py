# SPDX-License-Identifier: GPL-2.0-only
"""Growth of what is known to be shared."""

from __future__ import annotations

import pytest

pytest.importorskip("greenlet", reason="no explorer: pip install 'hvolab[explore]'")

from hvolab_kernel.interleaving.knowledge import Knowledge, Touched


def test_reads_of_what_others_write_are_shared_and_reads_of_both_are_not() -> None:
    known = Knowledge()
    first, second = Touched(), Touched()
    first.add([1, 2, 1000], [3], 512)
    second.add([2, 3], [1], 512)
    known.compare([first, second])
    assert known.adopt()
    assert known.shared[0, False] == {1}
    assert known.shared[0, True] == {3}
    assert known.shared[1, False] == {3}
    assert known.shared[1, True] == {1}
    assert known.frames == {0}


def test_it_grows_once_and_discards_what_was_not_adopted() -> None:
    known = Knowledge(points={4})
    known.growing.points.add(8)
    known.forget()
    assert not known.adopt()
    known.growing.points.update({4, 8})
    known.growing.exposed.add((0, 1))
    known.growing.stored.add(7)
    assert known.adopt()
    assert known.points == {4, 8}
    assert known.stored == {7}
    known.growing.points.add(8)
    assert not known.adopt()


def test_a_schedule_begins_with_nothing() -> None:
    touched = Touched()
    touched.add([1], [2], 512)
    touched.clear()
    assert touched == Touched()
