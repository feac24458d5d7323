# SPDX-License-Identifier: GPL-2.0-only
"""Event trace. Every state change emits an event; with no listeners the cost is one list check.

A run is one event: a run of entries stored, a run of frames allocated. With ``single_steps`` of :meth:`Trace.listen`
the code that works in runs works in runs of one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Pfns = npt.NDArray[np.int64]
Entries = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Event:
    """A state change. ``name`` is the same in every release."""

    name: ClassVar[str] = "event"

    def __init_subclass__(cls, name: str = "") -> None:
        if name:  # not again for the class with slots that dataclass() makes of it
            cls.name = name


@dataclass(frozen=True, slots=True)
class EntriesStored(Event, name="entry.store"):
    """Stores of a run of page-table entries.

    cpu            index of the CPU
    level          name of their level
    pa             PA of the first slot
    va             VA that the first entry maps
    before, after  raw entries
    live           whether a walk could reach the table at the time of the store
    """

    cpu: int
    level: str
    pa: int
    va: int
    before: Entries
    after: Entries
    live: bool


@dataclass(frozen=True, slots=True)
class EntryLost(Event, name="entry.lost"):
    """Live entry that was not replaced, because another CPU changed it first.

    cpu       number of the CPU that wanted to replace it
    level     level of the page table
    va        VA that the entry maps
    given_up  whether it is not tried again
    """

    cpu: int
    level: str
    va: int
    given_up: bool


@dataclass(frozen=True, slots=True)
class RangeFlushed(Event, name="flush.range"):
    """Flush of the translations of ``[start, end)`` on every CPU."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AllFlushed(Event, name="flush.all"):
    """Flush of all translations on every CPU."""


@dataclass(frozen=True, slots=True)
class PagesAllocated(Event, name="page.allocate"):
    """A run of allocation calls with the same arguments.

    gfp, order, node  the arguments; ``node`` is ``None`` if the caller passes none
    pfns              head PFNs of the results, in order
    failed            whether one more call followed and failed
    """

    gfp: int
    order: int
    node: int | None
    pfns: Pfns
    failed: bool


@dataclass(frozen=True, slots=True)
class PagesFreed(Event, name="page.free"):
    """Frees of a run of frames, in this order.

    how  ``free_pages``, or the function that frees a boot page: ``put_page_bootmem``, ``free_reserved_page``
    """

    pfns: Pfns
    order: int
    how: str


@dataclass(frozen=True, slots=True)
class BadPages(Event, name="page.bad"):
    """Struct pages that are wrong in the same way, in a block that is being freed. Kernel: bad_page().

    reason      the kernel's words for it
    pfn, order  the block; of single frames, the first that is wrong
    pfns        PFNs that the wrong struct pages describe
    reported    whether the kernel, as it was booted, looks at it and prints them
    lost        frames that are not freed because of what the kernel found in the block
    example     the first of the struct pages, decoded
    """

    reason: str
    pfn: int
    order: int
    pfns: Pfns
    reported: bool
    lost: int
    example: str


@dataclass(frozen=True, slots=True)
class PageSplit(Event, name="page.split"):
    """Split of a block into single frames. Kernel: split_page()."""

    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class GracePeriod(Event, name="rcu.synchronize"):
    """Wait for a grace period. Kernel: synchronize_rcu()."""


@dataclass(frozen=True, slots=True)
class KeyChanged(Event, name="key"):
    """Change of HVO's static key by ``delta``."""

    delta: int


@dataclass(frozen=True, slots=True)
class CounterChanged(Event, name="counter"):
    """Change of ``counter`` (nr_memmap_pages, nr_memmap_boot_pages) by ``delta``, before the allocation or free."""

    counter: str
    delta: int


@dataclass(frozen=True, slots=True)
class Barrier(Event, name="barrier"):
    """A memory barrier of that kind on one CPU."""

    cpu: int
    kind: str


@dataclass(frozen=True, slots=True)
class Stored(Event, name="store"):
    """Store of ``size`` bytes at ``va`` to ``pa``."""

    cpu: int
    va: int
    pa: int
    size: int


@dataclass(frozen=True, slots=True)
class PageCopied(Event, name="page.copy"):
    """Copy of one page from ``from_va`` to ``to_va``."""

    cpu: int
    to_va: int
    from_va: int


@dataclass(frozen=True, slots=True)
class FolioStep(Event, name="folio"):
    """Begin or end of HVO's work on a folio.

    step    ``optimize.begin``, ``optimize.end``, ``restore.begin``, ``restore.end``
    folio   VA of its head struct page
    result  0 or a negative errno at the end
    """

    step: str
    folio: int
    result: int = 0


@dataclass(frozen=True, slots=True)
class FolioPrepared(Event, name="folio.prepare"):
    """A new folio that a pool has optimized, or could not. Kernel: __prep_account_new_huge_page() follows, v6.12.

    folio  VA of its head struct page
    order  log2 of its base pages
    """

    folio: int
    order: int


@dataclass(frozen=True, slots=True)
class Batch(Event, name="batch"):
    """Begin or end of a batch: ``optimize.begin``, ``optimize.end``, ``restore.begin``, ``restore.end``.

    result  at the end of restores the number of restored folios, or a negative errno; None where it is not known
    """

    step: str
    result: int | None = None


@dataclass(frozen=True, slots=True)
class Warned(Event, name="warning"):
    """Warning of the modeled kernel code. Kernel: VM_WARN_ON_ONCE_FOLIO()."""

    text: str
    folio: int


@dataclass(frozen=True, slots=True)
class Stopped(Event, name="stop"):
    """End of an operation by a fault, BUG() or exception.

    what   the error with its kind
    where  function and line that raised it
    folio  VA of the head struct page of the folio at fault; None: unknown
    call   VA of that of the first folio of the engine's call; None: it was not called
    """

    what: str
    where: str
    folio: int | None = None
    call: int | None = None


Listener = Callable[[Event], None]


class Trace:
    """The listeners of a machine."""

    def __init__(self) -> None:
        #: Called with every event, in order of registration. Code that emits events checks first whether it is empty.
        self.listeners: list[Listener] = []
        #: Called at least with the outside calls; copies, stores and barriers between two of them may be done at once.
        self.call_listeners: list[Listener] = []
        #: True if a listener needs single steps instead of runs.
        self.single_steps = False
        #: Classes of events that the machine's engine does not emit: rules that need them do not apply.
        self.absent: set[type[Event]] = set()

    @property
    def hears_calls(self) -> bool:
        """True if anybody listens to the outside calls."""
        return bool(self.listeners or self.call_listeners)

    def emit(self, event: Event) -> None:
        """Call every listener."""
        for listener in self.listeners:
            listener(event)
        for listener in self.call_listeners:
            listener(event)

    @contextmanager
    def listen(self, listener: Listener, *, single_steps: bool = False, calls_only: bool = False) -> Iterator[None]:
        """Call ``listener`` with every event inside the ``with`` block.

        single_steps  of a run that is freed each page is an event
        calls_only    the listener needs outside calls only: allocations, freed pages, flushes, counters, grace periods
        """
        before = self.single_steps
        listeners = self.call_listeners if calls_only else self.listeners
        listeners.append(listener)
        self.single_steps = before or single_steps
        try:
            yield
        finally:
            listeners.remove(listener)
            self.single_steps = before

    @contextmanager
    def record(self, *, single_steps: bool = False) -> Iterator[list[Event]]:
        """Collect every event inside the ``with`` block in a list."""
        events: list[Event] = []
        with self.listen(events.append, single_steps=single_steps):
            yield events
