"""Two machines with the same bytes, one for the engine and one for a kernel's own code; and their way back."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hvolab.arch import Target
from hvolab.errors import KernelBug, MachineError
from hvolab.hugetlb import VmemmapOptimizer
from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import Hvo, HvoForm
from hvolab.machine import FrameAllocator, Machine, MachineSpec, VmemmapBacking, build_machine, lists
from hvolab.machine.failure import FailurePolicy, NeverFail
from hvolab.machine.frame_source import Owner
from hvolab.trace import Event, PagesAllocated, PagesFreed
from hvolab_kernel.kernel import Kernel
from hvolab_kernel.running import KernelHvo

from .calls import Call, calls_of
from .scenarios import Operation, Place, Step

Pfns = npt.NDArray[np.int64]


class HugePage:
    """An hstate, as far as HVO looks at one: its order."""

    def __init__(self, order: int) -> None:
        self.order = order


class Side:
    """One machine, who optimises on it, and the state that it goes back to.

    machine  the machine
    hvo      the engine, or a kernel's own code
    """

    def __init__(self, machine: Machine, hvo: VmemmapOptimizer) -> None:
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("only a machine that allocates its own frames can be compared")
        self.machine = machine
        self.hvo = hvo
        self.cpu = machine.cpus[0]
        self.list, self.other_list = (machine.kernel_data(lists.SIZE) for _ in range(2))
        self._lru = machine.struct_pages.layout.lru_next
        self.handed_out: set[int] = set()
        self.listed: set[int] = set()
        self.flip = 0
        self._take_snapshot()

    # the way back

    def _take_snapshot(self) -> None:
        machine = self.machine
        assert isinstance(machine.frames, FrameAllocator)  # noqa: S101 - as the constructor has seen
        self._frames = copy.deepcopy(machine.frames)
        everything = np.arange(machine.memory.first_pfn, machine.memory.first_pfn + machine.memory.frames)
        in_use = machine.frames.owner(everything) != Owner.FREE
        # what an emulated CPU keeps for itself is no part of what is compared
        in_use &= (everything < machine.scratch_pfns[0]) | (everything >= machine.scratch_pfns[1])
        used = everything[in_use] - machine.memory.first_pfn
        breaks = np.flatnonzero(np.diff(used) != 1) + 1
        #: Ranges of frames that were in use, counted from the first of memory.
        self.used = [(int(part[0]), int(part[-1]) + 1) for part in np.split(used, breaks)]
        self._contents = [machine.memory.pages[start:stop].copy() for start, stop in self.used]
        self._counters = copy.copy(machine.counters)

    def reset(self) -> None:
        """Go back to the state that the machine was built in."""
        machine = self.machine
        for (start, stop), content in zip(self.used, self._contents, strict=True):
            machine.memory.pages[start:stop] = content
        for pfn in self.handed_out:
            machine.memory.zero(pfn, 1)
        machine.frames = copy.deepcopy(self._frames)
        machine.counters = copy.copy(self._counters)
        machine.key = machine.grace_periods = 0
        machine.optimize_enabled = True
        self.handed_out.clear()
        self.listed.clear()
        self.flip = 0
        machine.flush_tlb_all()

    @property
    def failure(self) -> FailurePolicy:
        """Which allocation calls are made to fail."""
        assert isinstance(self.machine.frames, FrameAllocator)  # noqa: S101 - as the constructor has seen
        return self.machine.frames.failure

    @failure.setter
    def failure(self, policy: FailurePolicy) -> None:
        assert isinstance(self.machine.frames, FrameAllocator)  # noqa: S101 - as above
        self.machine.frames.failure = policy

    # what is done

    def make_folio(self, pfn: int, order: int) -> int:
        """Make a free hugetlb folio of free frames; gives the VA of its head struct page."""
        machine = self.machine
        assert isinstance(machine.frames, FrameAllocator)  # noqa: S101 - as the constructor has seen
        machine.frames.adopt(np.array([pfn], dtype=np.int64), order)
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

    def carry_out(self, step: Step, h: HugePage, folios: Sequence[int]) -> tuple[int | str, list[Call]]:
        """Do one step; gives its result, or how it broke, and the calls that it made outside."""
        chosen = [folios[position] for position in step.folios]
        for folio in chosen:
            self._note_vmemmap(folio, h.order)
        events: list[Event] = []

        def hear(event: Event) -> None:
            events.append(event)
            if isinstance(event, PagesAllocated | PagesFreed):
                self._note(event)
            if self.flip and calls_of([event]):
                self.flip -= 1
                if not self.flip:
                    self.machine.optimize_enabled = not self.machine.optimize_enabled

        with self.machine.trace.listen(hear, single_steps=True):
            try:
                result: int | str = self._do(step.operation, h, chosen)
            except KernelBug as bug:
                result = str(bug)
        for folio in chosen:
            self._note_vmemmap(folio, h.order)
        return result, calls_of(events)

    def _note(self, event: PagesAllocated | PagesFreed) -> None:
        frames = (event.pfns[:, None] + np.arange(1 << event.order)).ravel().tolist()
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


class Bed:
    """Two machines that are built alike.

    engine, kernel  the side of the engine, which follows ``form``, and that of the kernel's own code
    """

    def __init__(
        self, target: Target, kernel: Kernel, form: HvoForm, *, memory: int, backing: VmemmapBacking
    ) -> None:
        spec = MachineSpec(memory=memory, vmemmap=backing)
        self.target = target
        machine = build_machine(target, spec)
        self.engine = Side(machine, Hvo(machine, form=form))
        machine = build_machine(target, spec)
        self._kernel_hvo = KernelHvo(machine, kernel)
        self.kernel = Side(machine, self._kernel_hvo)

    @property
    def sides(self) -> tuple[Side, Side]:
        """The engine's, then the kernel's."""
        return self.engine, self.kernel

    @property
    def findings(self) -> tuple[str, ...]:
        """What the kernel's code did in its last call that it should not."""
        last = self._kernel_hvo.last
        return () if last is None else last.findings

    def reset(self) -> None:
        """Bring both back to where they began, the kernel's own data too if a call did not come to its end."""
        for side in self.sides:
            side.reset()
            side.failure = NeverFail()
        last = self._kernel_hvo.last
        if last is not None and not last.returned:
            self._kernel_hvo.reset()

    def pfn(self, place: Place, order: int) -> int:
        """The head PFN of a folio at a place; raises MachineError where the machine has none."""
        memory, mode = self.engine.machine.memory, self.target.mode
        per_unit = mode.level(mode.vmemmap_level).size // self.engine.machine.struct_pages.layout.size
        unit = max(per_unit, 1 << order)
        pfn = memory.first_pfn + memory.frames - unit * (place.unit + 1) + (place.position << order)
        if pfn < memory.first_pfn + per_unit or pfn % (1 << order):
            raise MachineError(f"the machine has no room for a folio of order {order} at {place}")
        return pfn
