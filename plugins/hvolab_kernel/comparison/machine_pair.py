"""Two machines with the same bytes, one for the engine and one for a kernel's own code; and their way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.errors import KernelBug, MachineError
from hvolab.hugetlb import VmemmapOptimizer
from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import Hvo, HvoVariant
from hvolab.machine import FrameAllocator, Machine, MachineSpec, VmemmapBacking, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.machine.frames.failure import FailurePolicy
from hvolab.machine.frames.source import Owner
from hvolab.machine.struct_pages import lists
from hvolab.trace import Event, PagesAllocated, PagesFreed
from hvolab_kernel.comparison.calls import Call, as_inlined, calls_of
from hvolab_kernel.comparison.scenarios import FolioPlacement, Operation, Scenario, ScenarioStep
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_kernel.running import KernelHvo
from hvolab_vmlinux.kernel import Kernel

#: What a step gave: its result, or how it broke; and the calls that it made outside.
Result = tuple[int | str, list[Call]]
#: A step, and what it gave on the engine's side and on the kernel's.
Outcomes = tuple[ScenarioStep, Result, Result]


class HugePage:
    """An hstate, as far as HVO looks at one: its order."""

    def __init__(self, order: int) -> None:
        self.order = order


@dataclass(frozen=True)
class MachineSnapshot:
    """A state of a machine to go back to.

    checkpoint  the machine's
    used        ranges of frames that were in use, counted from the first of memory; what huge pages hold is left out
    own         the memory of the kernel's own that outlives its calls
    """

    checkpoint: Checkpoint
    used: tuple[tuple[int, int], ...]
    own: npt.NDArray[np.uint8]


class MachineUnderTest:
    """One machine, who optimizes on it, and the state that it goes back to.

    machine     the machine
    hvo         the engine, or a kernel's own code
    state       the last state that was taken
    handed_out  frames that were handed out since
    listed      frames that the kernel may have linked through their struct pages
    flip        the outside call at which the switch is thrown, 1 being the next; 0: none

    ``own`` is memory outside the machine's that outlives calls: where a kernel has its zones.
    """

    def __init__(self, machine: Machine, hvo: VmemmapOptimizer, own: npt.NDArray[np.uint8] | None = None) -> None:
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("only a machine that allocates its own frames can be compared")
        self.machine = machine
        self.frames = machine.frames
        self.hvo = hvo
        self.cpu = machine.cpus[0]
        self.list, self.other_list = (machine.kernel_data(lists.SIZE) for _ in range(2))
        self._lru = machine.struct_pages.layout.lru_next
        self.handed_out: set[int] = set()
        self.listed: set[int] = set()
        self.flip = 0
        self._own = np.empty(0, dtype=np.uint8) if own is None else own
        self._folios: list[tuple[int, int]] = []
        self._built = self.state = self._snapshot()

    # the way back

    def _snapshot(self) -> MachineSnapshot:
        machine = self.machine
        first = machine.memory.first_pfn
        everything = np.arange(first, first + machine.memory.frames)
        in_use = self.frames.owner(everything) != Owner.FREE
        # what an emulated CPU keeps for itself is no part of what is compared, nor is what huge pages hold
        for start, stop in (machine.scratch_pfns, *self._folios):
            in_use[start - first : stop - first] = False
        used = np.flatnonzero(in_use)
        breaks = np.flatnonzero(np.diff(used) != 1) + 1
        ranges = tuple((int(part[0]), int(part[-1]) + 1) for part in np.split(used, breaks))
        return MachineSnapshot(Checkpoint(machine), ranges, self._own.copy())

    def remember(self) -> None:
        """Take the state as it is for the one to go back to."""
        self.state = self._snapshot()
        self.handed_out.clear()

    def rebuild(self) -> None:
        """Go back to the state that the machine was built in, and take that for the one to go back to."""
        self.reset()
        self.state = self._built
        self._folios.clear()
        self.listed.clear()
        self.reset()

    def reset(self) -> None:
        """Go back to the state that was taken last."""
        machine, state = self.machine, self.state
        state.checkpoint.restore()
        self._own[:] = state.own
        machine.grace_periods = 0
        self.handed_out.clear()
        self.flip = 0
        machine.flush_tlb_all()

    @property
    def failure(self) -> FailurePolicy:
        """Which allocation calls are made to fail."""
        return self.frames.failure

    @failure.setter
    def failure(self, policy: FailurePolicy) -> None:
        self.frames.failure = policy

    # what is done

    def make_folio(self, pfn: int, order: int) -> int:
        """Make a free hugetlb folio of free frames; gives the VA of its head struct page."""
        machine = self.machine
        self._folios.append((pfn, pfn + (1 << order)))
        self.frames.adopt(np.array([pfn], dtype=np.int64), order)
        folio = machine.struct_pages.va(pfn)
        pages = FolioPages(machine, self.cpu)
        pages.prep_compound(folio, order)
        pages.set_refcount(folio, 0)
        pages.set_private(folio, 0)
        pages.init_hugetlb(folio)
        return folio

    def link(self, folios: Sequence[int]) -> None:
        """Make the two lists of a batch: these folios on the first, none on the second."""
        for head in (self.list, self.other_list):
            lists.init(self.cpu, head)
        for folio in folios:
            lists.add_tail(self.cpu, folio + self._lru, self.list)

    def carry_out(self, step: ScenarioStep, h: HugePage, folios: Sequence[int]) -> Result:
        """Do one step; gives its result, or how it broke, and the calls that it made outside."""
        chosen = [folios[position] for position in step.folios]
        for folio in chosen:
            self._note_vmemmap(folio, h.order)
        events: list[Event] = []
        hear = self._flipping(events) if self.flip else events.append
        with self.machine.trace.listen(hear, single_steps=True):
            try:
                result: int | str = self._do(step.operation, h, chosen)
            except KernelBug as bug:
                result = str(bug)
        for event in events:
            if isinstance(event, PagesAllocated | PagesFreed):
                self._note(event)
        for folio in chosen:
            self._note_vmemmap(folio, h.order)
        return result, calls_of(events)

    def _flipping(self, events: list[Event]) -> Callable[[Event], None]:
        """A listener that collects events, and throws the switch at the outside call at which that is due."""

        def hear(event: Event) -> None:
            events.append(event)
            if self.flip and calls_of([event]):
                self.flip -= 1
                if not self.flip:
                    self.machine.optimize_enabled = not self.machine.optimize_enabled

        return hear

    def _note(self, event: PagesAllocated | PagesFreed) -> None:
        frames = event.pfns.tolist()
        if event.order:
            frames = [pfn + at for pfn in frames for at in range(1 << event.order)]
        self.listed.update(frames)
        if isinstance(event, PagesAllocated):
            self.handed_out.update(frames)

    def _note_vmemmap(self, folio: int, order: int) -> None:
        """Note the frames behind a folio: the kernel may link them through their struct pages."""
        machine = self.machine
        pages = max(1, (machine.struct_pages.layout.size << order) >> machine.target.mode.page_shift)
        self.listed.update(machine.tables.frames(folio & -machine.target.mode.page_size, pages).tolist())

    def _do(self, operation: Operation, h: HugePage, folios: Sequence[int]) -> int:
        match operation:
            case Operation.OPTIMIZE:
                self.hvo.optimize_folio(h, folios[0])
            case Operation.RESTORE:
                return self.hvo.restore_folio(h, folios[0])
            case Operation.OPTIMIZE_LIST:
                self.link(folios)
                self.hvo.optimize_folios(h, self.list)
            case Operation.RESTORE_LIST:
                self.link(folios)
                return self.hvo.restore_folios(h, self.list, self.other_list)
            case Operation.SWITCH_ON | Operation.SWITCH_OFF:
                self.machine.optimize_enabled = operation is Operation.SWITCH_ON
        return 0


class MachinePair:
    """Two machines that are built alike.

    engine, kernel  the side of the engine, which follows ``variant``, and that of the kernel's own code
    """

    def __init__(
        self, target: Target, kernel: Kernel, variant: HvoVariant, *, memory: int, backing: VmemmapBacking
    ) -> None:
        spec = MachineSpec(memory=memory, vmemmap=backing, layout=struct_page_layout(kernel))
        self.target = target
        machine = build_machine(target, spec)
        self.engine = MachineUnderTest(machine, Hvo(machine, variant=variant))
        machine = build_machine(target, spec)
        self._kernel_hvo = KernelHvo(machine, kernel)
        self._kernel_hvo.kernel_cpu.watch_page_tables = False  # entries are compared once they are there
        self._ceiling = self._kernel_hvo.kernel_cpu.inline_ceiling
        self.kernel = MachineUnderTest(machine, self._kernel_hvo, self._kernel_hvo.kernel_cpu.loaded.zones)
        self._prepared: tuple[object, ...] | None = None
        #: Whether the kernel's own data are no longer what calls leave that go well.
        self._spoilt = False
        self._folios: list[int] = []

    @property
    def sides(self) -> tuple[MachineUnderTest, MachineUnderTest]:
        """The engine's, then the kernel's."""
        return self.engine, self.kernel

    @property
    def findings(self) -> tuple[str, ...]:
        """What the kernel's code did in its last call that it should not."""
        last = self._kernel_hvo.last
        return () if last is None else last.findings

    def prepare(self, scenario: Scenario) -> tuple[list[int], list[Outcomes]]:
        """Bring both sides to where the scenario's steps begin: its folios made, its prelude carried out.

        Gives the folios, and what each step of the prelude gave on both sides: nothing where that state was at hand.
        """
        if self._spoilt:
            self._kernel_hvo.reset()  # locks that it held, a warning that it gives only once
            self._spoilt = False
        key = (scenario.order, scenario.places, scenario.prelude)
        told: list[Outcomes] = []
        if key == self._prepared:
            for side in self.sides:
                side.reset()
            return self._folios, told
        self._prepared = None
        pfns = [self.pfn(scenario, place) for place in scenario.places]
        for side in self.sides:
            side.rebuild()
            self._folios = [side.make_folio(pfn, scenario.order) for pfn in pfns]
        told += [(step, *self.carry_out(step, scenario.order, self._folios)) for step in scenario.prelude]
        for side in self.sides:
            side.remember()
        self._prepared = key
        return self._folios, told

    @property
    def batches(self) -> bool:
        """Whether the kernel has functions for lists of folios."""
        return self._kernel_hvo.batches

    def begin(self, scenario: Scenario) -> tuple[list[int], list[Outcomes]]:
        """As :meth:`prepare`, from the beginning: for a kernel that keeps pages of its own between calls."""
        self._kernel_hvo.reset()
        self._prepared = None
        return self.prepare(scenario)

    def carry_out(self, step: ScenarioStep, order: int, folios: Sequence[int]) -> tuple[Result, Result]:
        """Do one step on the engine's side, then on the kernel's; what each gave."""
        h = HugePage(order)
        result, calls = self.engine.carry_out(step, h, folios)
        ours = result, calls if self._ceiling is None else as_inlined(calls, self._ceiling)
        kernels = self.kernel.carry_out(step, h, folios)
        last = self._kernel_hvo.last
        self._spoilt |= last is not None and (not last.returned or bool(last.findings))
        return ours, kernels

    def pfn(self, scenario: Scenario, place: FolioPlacement) -> int:
        """The head PFN of a scenario's folio at a place; raises MachineError where the machine has none."""
        memory, mode, order = self.engine.machine.memory, self.target.mode, scenario.order
        per_unit = mode.level(mode.vmemmap_level).size // self.engine.machine.struct_pages.layout.size
        last = memory.first_pfn + memory.frames
        pfn = last - scenario.unit(mode) * (place.unit + 1) + (scenario.first + place.position << order)
        if pfn < memory.first_pfn + per_unit or pfn % (1 << order) or pfn + (1 << order) > last:
            raise MachineError(f"the machine has no room for a folio of order {order} at {place}")
        return pfn
