# SPDX-License-Identifier: GPL-2.0-only
"""Recording of one machine: each event with its CPU, the kernel functions in progress, and what changed in TLBs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hvolab.arch import Target
from hvolab.invariants import Finding, Monitor
from hvolab.machine import Machine
from hvolab.scenario.views import VmemmapView, view_vmemmap
from hvolab.trace import Event, FolioPrepared, FolioStep
from hvolab_report.recording.calls import Calls, CallStack
from hvolab_report.recording.translations import TlbChange, TlbFollower


@dataclass(frozen=True, slots=True)
class Mark(Event, name="mark"):
    """A stage of the voice: an operation that begins, or the machine at rest.

    note  why it is marked; empty: it is not
    """

    text: str
    note: str = ""


@dataclass(slots=True)
class Step:
    """An event and what happened with it.

    event         the event, or a Mark
    cpu           number of the CPU
    calls         the kernel functions in progress, outermost first; empty where they are unknown
    translations  changes of TLBs since the step before
    stale         stale translations in all TLBs after it
    free_frames   free frames after it; None: the machine cannot report them
    findings      findings that this event completed
    """

    event: Event
    cpu: int
    calls: Calls
    translations: tuple[TlbChange, ...]
    stale: int
    free_frames: int | None
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True)
class Folio:
    """A folio that HVO has worked on.

    va      VA of its head struct page
    pfn     its head PFN
    order   log2 of its base pages
    seen    number of the step at which it was seen first
    view    its vmemmap then
    """

    va: int
    pfn: int
    order: int
    seen: int
    view: VmemmapView


class Recording:
    """Listener that records one machine.

    name    of the voice
    steps   what happened, in order
    folios  the folios that HVO worked on, by VA of their head struct pages
    unknown_tlbs  numbers of the CPUs that cannot report their TLB
    """

    def __init__(self, machine: Machine, monitor: Monitor | None = None, name: str = "") -> None:
        self.machine = machine
        self.name = name
        self.steps: list[Step] = []
        self.folios: dict[int, Folio] = {}
        #: Returns the number of the CPU that runs, where events do not have it.
        self.running_cpu: Callable[[], int] | None = None
        #: Names of CPUs by number, where they have any: that of the actor that runs there.
        self.cpu_names: dict[int, str] = {}
        self._monitor = monitor
        self._found = 0
        self._cpu = 0
        self._calls = CallStack(machine.target.release.name)
        self._tlbs = TlbFollower(machine)
        machine.trace.listeners.append(self)

    @property
    def target(self) -> Target:
        """The target of the machine."""
        return self.machine.target

    @property
    def unknown_tlbs(self) -> frozenset[int]:
        """Numbers of the CPUs that cannot report their TLB."""
        return frozenset(self._tlbs.unknown)

    def __call__(self, event: Event) -> None:
        """Record one event."""
        self._collect()
        if isinstance(event, (FolioStep, FolioPrepared)) and event.folio not in self.folios:
            self._see(event.folio)
        self._cpu = getattr(event, "cpu", self._cpu) if self.running_cpu is None else self.running_cpu()
        changes = self._tlbs.changes(event)
        free = getattr(self.machine.frames, "free_frames", None)
        self.steps.append(Step(event, self._cpu, self._calls.now(self._cpu), changes, self._tlbs.stale, free))

    def mark(self, text: str, findings: Iterable[Finding] = (), *, note: str = "") -> None:
        """Record a stage, and what was found at rest."""
        self(Mark(text, note))
        self.steps[-1].findings += findings

    def close(self) -> None:
        """Stop listening; what the monitor found since the last event belongs to it."""
        self._collect()
        self._calls.forget()
        self._tlbs.close()
        if self in self.machine.trace.listeners:
            self.machine.trace.listeners.remove(self)

    def _collect(self) -> None:
        """Add findings of the monitor, which hears each event after this listener, to the event that they are of."""
        if self._monitor is not None and self.steps and len(self._monitor.findings) > self._found:
            self.steps[-1].findings += self._monitor.findings[self._found :]
            self._found = len(self._monitor.findings)

    def _see(self, va: int) -> None:
        machine = self.machine
        pfn = machine.struct_pages.pfn(va)
        order = machine.struct_pages.order(pfn)
        page_size = machine.target.mode.page_size
        pages = max(machine.struct_pages.layout.size << order, page_size) // page_size
        self.folios[va] = Folio(va, pfn, order, len(self.steps), view_vmemmap(machine, va, pages))
