# SPDX-License-Identifier: GPL-2.0-only
"""Calls out of HVO's code, in order, derived from a machine's events: the same for the engine and a kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from hvolab.release.gfp import describe
from hvolab.trace import (
    AllFlushed,
    CounterChanged,
    Event,
    GracePeriod,
    KeyChanged,
    PagesAllocated,
    PagesFreed,
    PageSplit,
    RangeFlushed,
)

#: A call: its name, its arguments, and for an allocation its result: a PFN, or None.
Call = tuple[Any, ...]


def _allocated(event: PagesAllocated) -> list[Call]:
    head = ("allocate", event.gfp, event.order, event.node)
    calls: list[Call] = [(*head, pfn) for pfn in event.pfns.tolist()]
    if event.failed:
        calls.append((*head, None))
    return calls


_CALLS: Final[dict[type[Event], Callable[[Any], list[Call]]]] = {
    PagesAllocated: _allocated,
    PagesFreed: lambda event: [("free", event.how, event.order, pfn) for pfn in event.pfns.tolist()],
    PageSplit: lambda event: [("split", event.pfn, event.order)],
    KeyChanged: lambda event: [("key", event.delta)],
    GracePeriod: lambda _: [("rcu",)],
    CounterChanged: lambda event: [("count", event.counter, event.delta)],
    RangeFlushed: lambda event: [("flush range", event.start, event.end)],
    AllFlushed: lambda _: [("flush all",)],
}


def calls_of(events: Iterable[Event]) -> list[Call]:
    """Return the outside calls among the events, in order."""
    calls: list[Call] = []
    for event in events:
        convert = _CALLS.get(type(event))
        if convert is not None:
            calls += convert(event)
    return calls


def as_inlined(calls: Iterable[Call], ceiling: int) -> list[Call]:
    """Return the calls of code with inline flushes: a range of more than `ceiling` bytes is a flush of everything."""
    return [("flush all",) if call[0] == "flush range" and call[2] - call[1] > ceiling else call for call in calls]


def describe_call(call: Call | None) -> str:
    """Return a call as text, with the kernel's names."""
    if call is None:
        return "no further call"
    name, *arguments = call
    return _DESCRIPTIONS[name](*arguments)


def _allocation(gfp: int, order: int, node: int | None, pfn: int | None) -> str:
    where = "" if node is None else f", node {node}"
    return f"allocate({describe(gfp)}, order {order}{where}) = {'null' if pfn is None else f'PFN {pfn:#x}'}"


_DESCRIPTIONS: Final[dict[str, Callable[..., str]]] = {
    "allocate": _allocation,
    "free": lambda how, order, pfn: f"{how}(PFN {pfn:#x}, order {order})",
    "split": lambda pfn, order: f"split_page(PFN {pfn:#x}, order {order})",
    "key": lambda delta: f"static key {delta:+d}",
    "rcu": lambda: "synchronize_rcu()",
    "count": lambda counter, delta: f"{counter} {delta:+d}",
    "flush range": lambda start, end: f"flush_tlb_kernel_range({start:#x}, {end:#x})",
    "flush all": lambda: "flush_tlb_all()",
}
