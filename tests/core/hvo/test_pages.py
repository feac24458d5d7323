# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvolab.hvo import VmemmapPageAllocator

_runs = st.one_of(
    st.builds(lambda first, count: list(range(first, first + count)), st.integers(0, 50), st.integers(0, 12)),
    st.lists(st.integers(0, 60), max_size=8),
)
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 60)),
        st.tuples(st.just("add_run"), _runs),
        st.tuples(st.just("pop"), st.none()),
        st.tuples(st.just("pop_run"), st.integers(0, 20)),
        st.tuples(st.just("take_chunks"), st.integers(1, 5)),
    ),
    max_size=30,
)


@pytest.mark.slow
@given(_steps)
def test_it_is_a_stack_however_its_pages_lie(steps: list[tuple[str, object]]) -> None:
    pages, stack = VmemmapPageAllocator(), list[int]()
    for step, value in steps:
        if step == "add":
            assert isinstance(value, int)
            pages.add(value)
            stack.append(value)
        elif step == "add_run":
            assert isinstance(value, list)
            pages.add_run(np.array(value, dtype=np.int64))
            stack += value
        elif step == "pop" and stack:
            assert pages.pop() == stack.pop()
        elif step == "pop_run":
            assert isinstance(value, int)
            count = min(value, len(stack))
            assert pages.pop_run(count).tolist() == [stack.pop() for _ in range(count)]
        elif step == "take_chunks":
            assert isinstance(value, int)
            chunks = [chunk.tolist() for chunk in pages.take_chunks(value)]
            assert all(len(chunk) == value for chunk in chunks[:-1])
            assert [pfn for chunk in chunks for pfn in chunk] == stack[::-1]
            stack.clear()
        assert len(pages) == len(stack)


@given(st.lists(st.one_of(st.integers(0, 60), _runs, st.none()), max_size=20))
def test_in_the_form_of_6_1_it_is_a_queue(steps: list[int | list[int] | None]) -> None:
    pages, queue = VmemmapPageAllocator(first_in_first_out=True), list[int]()
    for step in steps:
        if step is None:
            if queue:
                assert pages.pop() == queue.pop(0)
            continue
        if isinstance(step, int):
            pages.add(step)
        else:
            pages.add_run(np.array(step, dtype=np.int64))
        queue += [step] if isinstance(step, int) else step
        assert len(pages) == len(queue)
    assert pages.pop_run(len(pages)).tolist() == queue


def test_what_was_handed_in_may_change_afterwards() -> None:
    pages, pfns = VmemmapPageAllocator(), np.array([5, 3, 4], dtype=np.int64)
    pages.add_run(pfns)
    pfns[:] = 0
    assert pages.pop_run(3).tolist() == [4, 3, 5]
