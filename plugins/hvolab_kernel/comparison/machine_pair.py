# SPDX-License-Identifier: GPL-2.0-only
"""Two machines with the same bytes, one for the engine and one for a kernel's own code, that run the same steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.arrays import consecutive_runs
from hvolab.errors import HvolabError, MachineError
from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import HasOrder, Hvo, VmemmapOptimizer
from hvolab.machine import FrameAllocator, Machine, MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.checkpoint import Checkpoint, Restorable
from hvolab.machine.frames.source import Owner
from hvolab.machine.struct_pages import lists
from hvolab.trace import Event, PagesAllocated, PagesFreed
from hvolab_kernel.comparison.calls import Call, as_inlined, calls_of
from hvolab_kernel.comparison.code_watch import CodeWatch
from hvolab_kernel.comparison.scenarios import Operation, Scenario, ScenarioStep
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_kernel.running.call_result import UNREADABLE
from hvolab_vmlinux.kernel import Kernel

#: One flag for each frame of a machine.
Flags = npt.NDArray[np.bool_]


class StepResult(NamedTuple):
    """Result of a step on one machine: the returned value or the text of the error, and the outside calls.

    unbalanced  locks and counters that a kernel's code has not left as they were
    """

    value: int | str
    calls: list[Call]
    unbalanced: tuple[str, ...] = ()


class StepResults(NamedTuple):
    """Results of a step, named for readers, on both machines, and the findings of the kernel's code.

    place  the functions that made the first outside call that differs, or the last one; empty: not known
    """

    step: str
    engine: StepResult
    kernel: StepResult
    findings: tuple[str, ...]
    place: str = ""


class MachineUnderTest:
    """One machine, the HVO that runs on it, and the state at which every case begins.

    machine  the machine
    frames   its allocator
    hvo      the engine, or a kernel's own code
    used     a flag for each frame: in use at some time since building; not set for huge pages and emulated CPUs
    listed   a flag for each frame: a vmemmap page that the kernel may have linked by its struct page
    flip     the outside call at which the switch changes, 1 being the next; 0: none
    code     watch of a kernel's own code; None: the engine runs
    """

    def __init__(
        self, machine: Machine, hvo: VmemmapOptimizer, *others: Restorable, code: CodeWatch | None = None
    ) -> None:
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("only a machine that allocates its own frames can be compared")
        self.machine = machine
        self.frames = machine.frames
        self.hvo = hvo
        self.list, self.other_list = (machine.kernel_data(lists.SIZE) for _ in range(2))
        first, count = machine.memory.first_pfn, machine.memory.frames
        self._built_used: Flags = self.frames.owner(np.arange(first, first + count)) != Owner.FREE
        start, stop = machine.scratch_pfns
        self._built_used[start - first : stop - first] = False
        self.used = self._initial_used = self._built_used
        self.listed: Flags = np.zeros(count, dtype=np.bool_)
        self.flip = 0
        self.code = code
        self._others = others
        self._built = self._with_folios = self._initial = Checkpoint(machine, *others)
        self._folios: tuple[Sequence[int], int] = ([], 0)

    def restore(self) -> None:
        """Restore the initial state."""
        self._initial.restore()
        self.used = self._initial_used.copy()
        self.flip = 0
        if self.code is not None:
            self.code.begin_case()

    def rebuild(self, pfns: Sequence[int], order: int) -> list[int]:
        """Restore the machine as it was built, with free hugetlb folios at these PFNs; return their VAs."""
        if (pfns, order) != self._folios:
            self._built.restore()
            for pfn in pfns:
                self._make_folio(pfn, order)
            self._folios, self._with_folios = (pfns, order), Checkpoint(self.machine, *self._others)
        self._initial, self._initial_used = self._with_folios, self._built_used
        self.restore()
        self.listed[:] = False
        return [self.machine.struct_pages.va(pfn) for pfn in pfns]

    def take_initial_state(self) -> None:
        """Make the current state the initial state of the cases that follow."""
        self._initial_used = self.used.copy()
        self._initial = Checkpoint(self.machine, *self._others)

    def _make_folio(self, pfn: int, order: int) -> None:
        machine = self.machine
        self.frames.adopt(np.array([pfn], dtype=np.int64), order)
        folio = machine.struct_pages.va(pfn)
        pages = FolioPages(machine, machine.cpus[0])
        pages.prep_compound(folio, order)
        pages.set_refcount(folio, 0)
        pages.set_private(folio, 0)
        pages.init_lru(folio)
        pages.init_hugetlb(folio)

    # steps

    def run(self, step: ScenarioStep, h: HasOrder, folios: Sequence[int]) -> StepResult:
        """Run one step."""
        selected = [folios[position] for position in step.folios]
        self.note_vmemmap(selected, h.order)
        result = self.observe(lambda: self._carry_out(step.operation, h, selected))
        self.note_vmemmap(selected, h.order)
        return result

    def observe(self, action: Callable[[], int]) -> StepResult:
        """Call a function; return its result with the outside calls that it made."""
        events: list[Event] = []
        if self.code is not None:
            self.code.begin()
        # of the engine nothing but outside calls is taken: it may do at once what lies between two of them
        calls_only = self.code is None and not self.flip
        with self.machine.trace.listen(self._listener(events), single_steps=True, calls_only=calls_only):
            try:
                value: int | str = action()
            except HvolabError as error:
                if not error.is_finding and not isinstance(error, UNREADABLE):
                    raise
                value = str(error)
        allocated = [event for event in events if isinstance(event, PagesAllocated)]
        self._flag(self.used, allocated)
        passed = [event for event in events if isinstance(event, (PagesAllocated, PagesFreed))]
        self._flag(self.listed, [event for event in passed if not event.order])  # blocks are huge pages
        unbalanced = self.code.unbalanced() if self.code is not None and isinstance(value, int) else ()
        return StepResult(value, calls_of(events), unbalanced)

    def _carry_out(self, operation: Operation, h: HasOrder, folios: Sequence[int]) -> int:
        match operation:
            case Operation.OPTIMIZE:
                self.hvo.optimize_folio(h, folios[0])
            case Operation.RESTORE:
                return self.hvo.restore_folio(h, folios[0])
            case Operation.OPTIMIZE_LIST:
                self._link(folios)
                self.hvo.optimize_folios(h, self.list)
            case Operation.RESTORE_LIST:
                self._link(folios)
                return self.hvo.restore_folios(h, self.list, self.other_list)
            case Operation.SWITCH_ON | Operation.SWITCH_OFF:
                self.machine.optimize_enabled = operation is Operation.SWITCH_ON
        return 0

    def _link(self, folios: Sequence[int]) -> None:
        """Put the folios on the first list, and none on the second."""
        cpu, lru = self.machine.cpus[0], self.machine.struct_pages.layout.lru_next
        for head in (self.list, self.other_list):
            lists.init(cpu, head)
        for folio in folios:
            lists.add_tail(cpu, folio + lru, self.list)

    def _listener(self, events: list[Event]) -> Callable[[Event], None]:
        """Return a listener that collects events, checks them, and changes the switch at the outside call `flip`."""
        code = self.code

        def on_event(event: Event) -> None:
            events.append(event)
            calls = len(calls_of([event])) if code is not None or self.flip else 0
            if code is not None:
                code(event, calls)
            if self.flip and calls:
                self.flip -= 1
                if not self.flip:
                    self.machine.optimize_enabled = not self.machine.optimize_enabled

        return on_event

    def _flag(self, flags: Flags, events: Sequence[PagesAllocated | PagesFreed]) -> None:
        """Set the flags of the frames in the events."""
        for order in {event.order for event in events}:
            heads = np.concatenate([event.pfns for event in events if event.order == order])
            for index in range(1 << order):
                flags[heads - self.machine.memory.first_pfn + index] = True

    def note_vmemmap(self, folios: Iterable[int], order: int) -> None:
        """Note the frames of the folios' vmemmap, which the kernel may link."""
        machine, page_size = self.machine, self.machine.target.mode.page_size
        pages = max(1, (machine.struct_pages.layout.size << order) // page_size)
        for folio in folios:
            positions = machine.tables.frames(folio & -page_size, pages) - machine.memory.first_pfn
            self.listed[positions[(positions >= 0) & (positions < self.listed.size)]] = True  # entries may be wrong


def place_folios(machine: Machine, scenario: Scenario) -> list[int]:
    """Return the head PFNs of a scenario's folios on a machine; raises MachineError if the machine is too small."""
    memory, mode, order = machine.memory, machine.target.mode, scenario.order
    per_unit = mode.level(mode.vmemmap_level).size // machine.struct_pages.layout.size
    last = memory.first_pfn + memory.frames
    pfns = []
    for place in scenario.places:
        pfn = last - scenario.unit(mode) * (place.unit + 1) + (scenario.first + place.position << order)
        if pfn < memory.first_pfn + per_unit or pfn % (1 << order) or pfn + (1 << order) > last:
            raise MachineError(f"the machine has no room for a folio of order {order} at {place}")
        pfns.append(pfn)
    return pfns


def kernel_machine(target: Target, kernel: Kernel, spec: MachineSpec) -> tuple[KernelHvo, MachineUnderTest]:
    """Build a machine on which a kernel's own HVO runs."""
    machine = build_machine(target, spec)
    hvo = KernelHvo(machine, kernel)
    return hvo, MachineUnderTest(machine, hvo, hvo, code=CodeWatch(hvo))


class MachinePair:
    """Two equal machines.

    engine  the machine of the engine, which follows the target's release, or of another kernel's code
    kernel  the machine of the kernel's own code
    kernel_hvo   the HVO that runs on it
    same_object  tests whether a word of the engine's machine and one of the kernel's are addresses of the same object,
                 which the kernel has in its own memory; None: there are no such objects
    """

    def __init__(
        self,
        target: Target,
        kernel: Kernel,
        *,
        memory: int,
        backing: VmemmapBacking,
        nodes: int = 1,
        reference: Kernel | None = None,
    ) -> None:
        """Build them; `reference` is a kernel whose code runs in place of the engine."""
        spec = MachineSpec(memory=memory, nodes=nodes, vmemmap=backing, layout=struct_page_layout(kernel))
        self.target = target
        self._ceiling: int | None = None
        if reference is None:
            machine = build_machine(target, spec)
            self.engine = MachineUnderTest(machine, Hvo(machine))
        else:
            hvo, self.engine = kernel_machine(target, reference, spec)
            hvo.kernel_cpu.watch_page_tables = False
        self.kernel_hvo, self.kernel = kernel_machine(target, kernel, spec)
        self.kernel_hvo.kernel_cpu.watch_page_tables = False  # entries are compared at the end of a case
        if reference is None:
            self._ceiling = self.kernel_hvo.kernel_cpu.inline_ceiling
        self._prepared: tuple[object, ...] | None = None
        self._folios: list[int] = []
        #: Words that differ in the initial state.
        self._differing: list[int] = []
        self.same_object: Callable[[int, int], bool] | None = None

    @property
    def both(self) -> tuple[MachineUnderTest, MachineUnderTest]:
        """The engine's machine, then the kernel's."""
        return self.engine, self.kernel

    def prepare(self, scenario: Scenario, *, reuse: bool = True) -> tuple[list[int], list[StepResults]]:
        """Make the folios of a scenario and run its prelude on both machines.

        Returns the folios, and the results of the prelude: none if its state is restored from the last scenario.

        reuse  restore the state of the last scenario if it began in the same way
        """
        key = (scenario.order, scenario.places, scenario.prelude)
        if reuse and key == self._prepared:
            for one in self.both:
                one.restore()
            return self._folios, []
        self._prepared = None
        self._differing = []
        pfns = place_folios(self.kernel.machine, scenario)
        for one in self.both:
            self._folios = one.rebuild(pfns, scenario.order)
        results = [self.run(step, scenario, self._folios) for step in scenario.prelude]
        self._differing = self.differing_words()
        for one in self.both:
            one.take_initial_state()
        self._prepared = key
        return self._folios, results

    def watch(self, order: int) -> bool:
        """Watch the kernel's stores to page tables if few entries map the vmemmap of a folio; return whether they do.

        A folio whose vmemmap takes several tables has thousands, and each store is slow. They are compared at the end
        of a case.
        """
        size, mode = self.kernel.machine.struct_pages.layout.size << order, self.target.mode
        self.kernel_hvo.kernel_cpu.watch_page_tables = size <= mode.levels[-2].size
        return self.kernel_hvo.kernel_cpu.watch_page_tables

    def run(self, step: ScenarioStep, h: HasOrder, folios: Sequence[int]) -> StepResults:
        """Run one step on the engine's machine, then on the kernel's."""
        return self.observe(str(step), *(partial(one.run, step, h, folios) for one in self.both))

    def observe(
        self, step: str, engine_step: Callable[[], StepResult], kernel_step: Callable[[], StepResult]
    ) -> StepResults:
        """Call the functions that run a step, on the engine's machine and then on the kernel's; return the results."""
        self.kernel_hvo.last = None
        engine, kernel = engine_step(), kernel_step()
        if self._ceiling is not None:
            engine = engine._replace(calls=as_inlined(engine.calls, self._ceiling))
        last = self.kernel_hvo.last
        return StepResults(step, engine, kernel, () if last is None else last.findings, self._place(engine, kernel))

    def _place(self, engine: StepResult, kernel: StepResult) -> str:
        """Return the functions that made the first outside call that differs, the last one if it is missing."""
        code = self.kernel.code
        pairs = enumerate(zip_longest(kernel.calls, engine.calls), start=1)
        number = next((number for number, (theirs, ours) in pairs if theirs != ours), 0)
        if code is None or not number:
            return ""
        return code.of_call(number) or code.last()

    def differing_words(self) -> list[int]:
        """Return the indices of words that differ, in frames that were in use since the machines were built."""
        memories = [one.machine.memory for one in self.both]
        frames = np.flatnonzero(self.engine.used | self.kernel.used) + memories[0].first_pfn
        ours, theirs = (memory.words for memory in memories)
        words = {word for word in self._differing if ours[word] != theirs[word]}
        for first, end in zip(*consecutive_runs(frames), strict=True):
            for memory in memories:
                for start, stop in memory.changed(int(frames[first]), int(end - first)):
                    words.update((np.flatnonzero(ours[start:stop] != theirs[start:stop]) + start).tolist())
        if self.same_object is not None:
            words = {word for word in words if not self.same_object(int(ours[word]), int(theirs[word]))}
        return sorted(words)
