# SPDX-License-Identifier: GPL-2.0-only
"""The event trace: listeners in their order, for as long as their block lasts."""

from __future__ import annotations

import pytest

from hvolab import trace
from hvolab.trace import AllFlushed, Barrier, Event, Trace


def test_listeners_are_called_in_order_and_leave_with_their_block() -> None:
    tracer, called = Trace(), list[tuple[str, Event]]()
    with tracer.listen(lambda event: called.append(("first", event))):
        with tracer.listen(lambda event: called.append(("second", event))):
            tracer.emit(AllFlushed())
        tracer.emit(Barrier(0, "smp_wmb"))
    tracer.emit(AllFlushed())
    assert called == [("first", AllFlushed()), ("second", AllFlushed()), ("first", Barrier(0, "smp_wmb"))]
    assert tracer.listeners == []


def test_single_steps_last_as_long_as_the_listener_that_needs_them() -> None:
    tracer = Trace()
    with tracer.record(single_steps=True):
        with tracer.record() as inner:
            assert tracer.single_steps
            tracer.emit(AllFlushed())
        assert inner == [AllFlushed()]
        assert tracer.single_steps
    assert not tracer.single_steps


def test_a_listener_is_removed_when_its_block_raises() -> None:
    tracer = Trace()
    with pytest.raises(LookupError), tracer.record():
        raise LookupError
    assert tracer.listeners == []


def test_names_of_events_are_distinct() -> None:
    names = [kind.name for kind in vars(trace).values() if isinstance(kind, type) and issubclass(kind, Event)]
    assert len(set(names)) == len(names) > 10
