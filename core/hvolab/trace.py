"""The trace: whatever changes state, as events to those who listen. Nobody listening costs one test of a list.

Runs are one event: a run of entries stored, a run of frames allocated. Who wants single steps asks the trace for
them (:meth:`Trace.listen` with ``single_steps``), and the code that works in runs then works in runs of one.
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
    """Something that changed state. ``name`` is stable and sayable."""

    name: ClassVar[str] = "event"


@dataclass(frozen=True, slots=True)
class EntriesStored(Event):
    """A run of page-table entries was stored.

    cpu            index of the CPU
    level          name of the level at which they stand
    pa             PA of the first slot
    va             VA that the first entry maps
    before, after  raw entries
    live           whether the table could be walked to when they were stored
    """

    name: ClassVar[str] = "entry.store"
    cpu: int
    level: str
    pa: int
    va: int
    before: Entries
    after: Entries
    live: bool


@dataclass(frozen=True, slots=True)
class RangeFlushed(Event):
    """Every CPU forgot its translations of ``[start, end)``."""

    name: ClassVar[str] = "flush.range"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AllFlushed(Event):
    """Every CPU forgot all its translations."""

    name: ClassVar[str] = "flush.all"


@dataclass(frozen=True, slots=True)
class PagesAllocated(Event):
    """A run of allocation calls with the same arguments.

    gfp, order, node  the arguments; ``node`` is ``None`` where the caller names none
    pfns              head PFNs handed out, in order
    failed            whether one more call was made and failed
    """

    name: ClassVar[str] = "page.allocate"
    gfp: int
    order: int
    node: int | None
    pfns: Pfns
    failed: bool


@dataclass(frozen=True, slots=True)
class PagesFreed(Event):
    """A run of frames went back to the allocator, in this order.

    how  ``free_pages``, or what a boot page is freed by: ``put_page_bootmem``, ``free_reserved_page``
    """

    name: ClassVar[str] = "page.free"
    pfns: Pfns
    order: int
    how: str


@dataclass(frozen=True, slots=True)
class PageSplit(Event):
    """A block became single frames. Kernel: split_page()."""

    name: ClassVar[str] = "page.split"
    pfn: int
    order: int


@dataclass(frozen=True, slots=True)
class GracePeriod(Event):
    """A grace period was waited for. Kernel: synchronize_rcu()."""

    name: ClassVar[str] = "rcu.synchronize"


@dataclass(frozen=True, slots=True)
class KeyChanged(Event):
    """The static key of HVO changed by ``delta``."""

    name: ClassVar[str] = "key"
    delta: int


@dataclass(frozen=True, slots=True)
class CounterChanged(Event):
    """``counter`` (nr_memmap_pages, nr_memmap_boot_pages) changed by ``delta``, before what it counts happened."""

    name: ClassVar[str] = "counter"
    counter: str
    delta: int


@dataclass(frozen=True, slots=True)
class Barrier(Event):
    """A memory barrier of that kind on one CPU."""

    name: ClassVar[str] = "barrier"
    cpu: int
    kind: str


@dataclass(frozen=True, slots=True)
class Stored(Event):
    """A store of ``size`` bytes at ``va`` reached ``pa``."""

    name: ClassVar[str] = "store"
    cpu: int
    va: int
    pa: int
    size: int


@dataclass(frozen=True, slots=True)
class PageCopied(Event):
    """One page was copied from ``from_va`` to ``to_va``."""

    name: ClassVar[str] = "page.copy"
    cpu: int
    to_va: int
    from_va: int


@dataclass(frozen=True, slots=True)
class FolioStep(Event):
    """HVO began or ended with a folio.

    step    ``optimize.begin``, ``optimize.end``, ``restore.begin``, ``restore.end``
    folio   VA of its head struct page
    result  0 or a negative errno at the end
    """

    name: ClassVar[str] = "folio"
    step: str
    folio: int
    result: int = 0


@dataclass(frozen=True, slots=True)
class Batch(Event):
    """A batch began or ended: ``optimize.begin``, ``optimize.end``, ``restore.begin``, ``restore.end``."""

    name: ClassVar[str] = "batch"
    step: str


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """The kernel would have warned. Kernel: VM_WARN_ON_ONCE_FOLIO()."""

    name: ClassVar[str] = "warning"
    text: str
    folio: int


Listener = Callable[[Event], None]


class Trace:
    """Those who listen to a machine."""

    def __init__(self) -> None:
        #: Called with every event, in order of registration. Producers test it for emptiness and do nothing else.
        self.listeners: list[Listener] = []
        #: Whether some listener wants single steps instead of runs.
        self.single_steps = False

    def emit(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(event)

    @contextmanager
    def listen(self, listener: Listener, *, single_steps: bool = False) -> Iterator[None]:
        """Let ``listener`` hear every event inside the ``with`` block."""
        before = self.single_steps
        self.listeners.append(listener)
        self.single_steps = before or single_steps
        try:
            yield
        finally:
            self.listeners.remove(listener)
            self.single_steps = before

    @contextmanager
    def record(self, *, single_steps: bool = False) -> Iterator[list[Event]]:
        """Collect every event inside the ``with`` block in a list."""
        events: list[Event] = []
        with self.listen(events.append, single_steps=single_steps):
            yield events
