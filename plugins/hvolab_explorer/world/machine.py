# SPDX-License-Identifier: GPL-2.0-only
"""A machine whose services are steps: the page allocator, the static key, and what else is not in a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab.arithmetic import WORD_SHIFT
from hvolab.errors import MachineError
from hvolab.machine import Cpu, FrameAllocator, Machine
from hvolab.release.gfp import GFP_KERNEL, describe
from hvolab.trace import EntryLost, KeyChanged
from hvolab_explorer.steps.actor import Exhausted
from hvolab_explorer.steps.scheduler import Scheduler
from hvolab_explorer.world.cpu import words_of
from hvolab_explorer.world.kmemleak import Kmemleak
from hvolab_explorer.world.shared import SharedTails

Pfns = npt.NDArray[np.int64]
#: Free frames of each CPU.
_FRAMES_OF_A_CPU = 64
#: Contents of a freed frame where frames are poisoned: no valid entry, flag word or link.
POISON = 0xAA


@dataclass(frozen=True)
class WorldOptions:
    """Choices about the machine.

    failures  allocations that may fail, at most, each of them any
    ordered   CPUs allocate from one list, so that the order of their allocations matters
    poisoned  free frames are overwritten, and a load of what is not written since is reported
    weak      stores wait in buffers, and loads may be early; frames are poisoned
    """

    failures: int = 0
    ordered: bool = False
    poisoned: bool = False
    weak: bool = False

    @property
    def overwrites(self) -> bool:
        """True where free frames are overwritten."""
        return self.poisoned or self.weak


class ExploredMachine(Machine):
    """A machine under exploration.

    Unless ``ordered``, single frames come from a list of their CPU and return to it, as from the kernel's per-CPU lists
    (pcp): allocations of different CPUs commute, and a frame that one CPU frees is not used by another.

    allocator  its frames
    switching  called within each step that writes the sysctl vm.hugetlb_optimize_vmemmap
    freeing    called within each step that frees a block, with its first PFN and its order
    """

    @classmethod
    def of(cls, machine: Machine, scheduler: Scheduler, options: WorldOptions) -> ExploredMachine:
        """Return the machine with the same parts, and steps for its services."""
        made = cls(**{field.name: getattr(machine, field.name) for field in fields(Machine) if field.init})
        made._begin(scheduler, options)
        return made

    def _begin(self, scheduler: Scheduler, options: WorldOptions) -> None:
        if not isinstance(self.frames, FrameAllocator):
            raise MachineError("the frames of this machine cannot be explored", hint="use one of build_machine()")
        self.scheduler = scheduler
        self.options = options
        self.switching: list[Callable[[], None]] = []
        self.freeing: list[Callable[[int, int], None]] = []
        self.failures_left = options.failures
        self.kmemleak: Kmemleak | None = None
        #: Waits until the stores of the CPU under way are in memory.
        self.wait_for_stores: Callable[[], None] = lambda: None
        self.trace.single_steps = True
        self.locks.attach(scheduler)
        self.vmemmap_tails = SharedTails(scheduler, self.vmemmap_tails)
        self._lists: dict[int, list[int]] = {}
        self.allocator = self.frames

    def fill_lists(self, frames: int = _FRAMES_OF_A_CPU) -> None:
        """Fill each CPU's list of free frames, once everything else is allocated."""
        if self.options.ordered:
            return
        cpus = [cpu.index for cpu in self.cpus]
        pfns = self.allocator.allocate_run(frames * len(cpus), 0, 0)
        if pfns.size < frames * len(cpus):
            raise MachineError("no frames left for the lists of the CPUs", hint="give the machine more memory")
        self.allocator.free_run(pfns[::-1])  # the first to be allocated are the first to be found
        if self.options.overwrites:
            self.memory.octets.reshape(self.memory.frames, -1)[pfns - self.memory.first_pfn] = POISON
        self._lists = {cpu: pfns[number :: len(cpus)].tolist() for number, cpu in enumerate(cpus)}

    def save_lists(self) -> Any:
        """Save the lists and the failures left; return the function that restores them."""
        saved = {cpu: list(frames) for cpu, frames in self._lists.items()}

        def restore() -> None:
            self._lists = {cpu: list(frames) for cpu, frames in saved.items()}
            self.failures_left = self.options.failures

        return restore

    @property
    def optimize_enabled(self) -> bool:
        """The sysctl vm.hugetlb_optimize_vmemmap; read and written within the step under way."""
        self._footprint("reads", "sysctl")
        enabled: bool = vars(self)["optimize_enabled"]
        return enabled

    @optimize_enabled.setter
    def optimize_enabled(self, enabled: bool) -> None:
        self._footprint("writes", "sysctl")
        vars(self)["optimize_enabled"] = enabled
        for changed in vars(self).get("switching", ()):
            changed()

    # footprints

    def is_free(self, pfn: int) -> bool:
        """Return whether a frame is free."""
        return self.allocator.is_free(pfn)

    def _footprint(self, kind: str, name: str) -> None:
        scheduler: Scheduler | None = vars(self).get("scheduler")
        if scheduler is not None:
            getattr(scheduler.footprint, kind).add((name,))

    def _touch_frames(self, first: int, order: int) -> None:
        """Record that frames change their owner, and that their struct pages change."""
        if self.scheduler.repeating:
            return
        touches, locate = self.scheduler.footprint.touches, self.struct_pages.locate_with_entries
        touches += [(self._change_frame, pfn, *locate(pfn)) for pfn in range(first, first + (1 << order))]

    def _change_frame(self, pfn: int, where: int, *entries: int) -> None:
        """Add the tokens of a frame that changes its owner."""
        footprint = self.scheduler.footprint
        footprint.writes.add(("frame", pfn))
        footprint.writes.update(self._words(where))
        footprint.reads.update(self._entries(entries))

    def touch_struct_page(self, pfn: int) -> None:
        """Record that a frame's struct page is read."""
        if not self.scheduler.repeating:
            touch = self._read_struct_page, *self.struct_pages.locate_with_entries(pfn)
            self.scheduler.footprint.touches.append(touch)

    def _read_struct_page(self, where: int, *entries: int) -> None:
        """Add the tokens of a struct page that is read."""
        self.scheduler.footprint.reads.update(self._words(where))
        self.scheduler.footprint.reads.update(self._entries(entries))

    def _words(self, where: int) -> frozenset[int]:
        """Return the tokens of the words of a struct page at an offset in memory."""
        return words_of(self.memory.base + where, self.struct_pages.layout.size)

    def _entries(self, indices: tuple[int, ...]) -> Iterator[int]:
        """Return the tokens of the entries of the two levels that change, of all on the way to a struct page."""
        first = self.memory.base >> WORD_SHIFT
        return (first + index for index in indices[-2:])

    def _touch_allocator(self, order: int, *, chooses: bool = False) -> None:
        """Record that the free memory changes.

        Single frames of lists are added and removed in any order, also with blocks. The block that an allocation
        chooses depends on all that is free, and on the order in which blocks became free.
        """
        footprint = self.scheduler.footprint
        (footprint.writes if chooses or self.options.ordered else footprint.adds).add(("allocator",))
        if order:
            footprint.writes.add(("blocks",))

    def _fails(self, what: str) -> bool:
        failed = self.scheduler.alternative(2 if self.failures_left else 1, f"{what} fails")
        self.failures_left -= failed
        return bool(failed)

    def admit_update(self, cpu: Cpu, level: str, va: int) -> bool:
        """Return whether the update of an entry is not lost, which counts as a failure. Its step is the next load.

        Kernel: the fault injection of the series of 2026 does the same.
        """
        if self.scheduler.active:
            self.scheduler.point(f"update the entry of {va:#x}")
            if self._fails("the update"):
                if self.trace.listeners:
                    self.trace.emit(EntryLost(cpu.index, level, va, given_up=True))
                return False
        return super().admit_update(cpu, level, va)

    # the page allocator

    def alloc_pages(self, gfp: int, order: int, node: int | None = None) -> int | None:
        """Allocate in one step, which may fail."""
        if not self.scheduler.active:
            return super().alloc_pages(gfp, order, node)
        self.wait_for_stores()
        self.scheduler.point(f"allocate order {order}")
        if self._fails(f"allocation of order {order}"):
            return self._allocated(gfp, order, node, None)
        self._touch_allocator(order, chooses=order > 0)
        if order or self.options.ordered:
            pfn = super().alloc_pages(gfp, order, node)
            if pfn is None and not order:
                self._report_failure(gfp, node)
        else:
            pfn = self._allocated(gfp, order, node, self._take())
        if pfn is not None:
            self._touch_frames(pfn, order)
        return pfn

    def _report_failure(self, gfp: int, node: int | None) -> None:
        """Report that a single frame cannot be allocated while some are free that kernel memory may be in."""
        others = (one for one in range(self.nodes) if one != node and self.allocator.certain(1, GFP_KERNEL, one))
        if (other := next(others, None)) is not None:
            what = f"an allocation with {describe(gfp)} on node {node} fails"
            self.scheduler.report(f"{what}, and node {other} has free memory")

    def _take(self) -> int:
        """Take a frame from the list of the CPU under way."""
        actor = self.scheduler.current
        frames = [] if actor is None else self._lists[actor.cpu]
        if not frames:
            raise Exhausted("a CPU has used up its list of free frames (--allocations ordered has more)")
        pfn = frames.pop()
        self.allocator.adopt_one(pfn)
        return pfn

    def alloc_pages_run(self, count: int, gfp: int, node: int) -> Pfns:
        """Allocate frames one by one, up to the first that fails."""
        if not self.scheduler.active:
            return super().alloc_pages_run(count, gfp, node)
        found: list[int] = []
        while len(found) < count and (pfn := self.alloc_pages(gfp, 0, node)) is not None:
            found.append(pfn)
        return np.array(found, dtype=np.int64)

    def free_pages(self, pfn: int, order: int, cpu: Cpu | None = None, *, linked: bool = False) -> None:
        """Free in one step, which clears flags in the struct pages too."""
        if not self._announce_free(pfn, order):
            super().free_pages(pfn, order, cpu, linked=linked)
            return
        if order:
            with self.scheduler.one_step():
                super().free_pages(pfn, order, cpu)
        else:
            super().free_pages(pfn, order, linked=linked)
        self._return(pfn, order)

    def free_page_run(self, pfns: Pfns) -> None:
        """Free frames one by one."""
        for pfn in pfns.tolist():
            self.free_pages(pfn, 0)

    def free_bootmem_run(self, pfns: Pfns) -> None:
        """Free boot frames one by one."""
        for pfn in pfns.tolist():
            self.free_bootmem_page(pfn)

    def free_bootmem_page(self, pfn: int, *, linked: bool = False) -> None:
        """Free a boot frame in one step, after kmemleak has forgotten it."""
        if self.kmemleak is not None and self.scheduler.active:
            self.kmemleak.free_part(pfn)
        announced = self._announce_free(pfn, 0)
        super().free_bootmem_page(pfn, linked=linked)
        if announced:
            self._return(pfn, 0)

    def _announce_free(self, pfn: int, order: int) -> bool:
        """Wait for the step of a free; return False outside of a schedule."""
        if not self.scheduler.active:
            return False
        self.wait_for_stores()
        self.scheduler.point(f"free PFN {pfn:#x}" + (f" of order {order}" if order else ""))
        if order and self._is_hugetlb(pfn):
            self.scheduler.report(f"PFN {pfn:#x} is freed with the hugetlb type")
        self._touch_frames(pfn, order)
        self._touch_allocator(order)
        return True

    def _is_hugetlb(self, pfn: int) -> bool:
        """Return whether a block has the mark of hugetlb. Kernel: folio_test_hugetlb()."""
        pages, layout = self.struct_pages, self.struct_pages.layout
        mark = layout.hugetlb_mark.place(layout.size, self.target.architecture.byte_order)
        page, offset = divmod(mark.offset, layout.size)
        word = int(pages.words(np.array([pfn + page], dtype=np.int64), offset)[0])
        return mark.get(word) == layout.hugetlb_set

    def _return(self, pfn: int, order: int) -> None:
        """Return a freed frame to its CPU's list, and overwrite it if frames are poisoned."""
        actor = self.scheduler.current
        if not self.allocator.is_free(pfn):
            return
        for freed in self.freeing:
            freed(pfn, order)
        if self.options.overwrites:
            self.memory.octets.reshape(self.memory.frames, -1)[pfn - self.memory.first_pfn :][: 1 << order] = POISON
        if actor is not None and not order and not self.options.ordered:
            self._lists[actor.cpu].append(pfn)

    def split_page(self, pfn: int, order: int) -> None:
        """Split in one step."""
        self.scheduler.point(f"split_page PFN {pfn:#x}")
        self.scheduler.footprint.writes.add(("frame", pfn))
        super().split_page(pfn, order)

    def take_free_frame(self, pfn: int) -> bool:
        """Allocate a frame by its number in one step."""
        self.scheduler.point(f"take PFN {pfn:#x} off the free lists")
        self._touch_frames(pfn, 0)
        self._touch_allocator(1)
        taken = super().take_free_frame(pfn)
        for frames in self._lists.values():
            if taken and pfn in frames:
                frames.remove(pfn)
        return taken

    # the rest

    def flush_tlb_kernel_range(self, start: int, end: int) -> None:
        """Flush ``[start, end)`` on every CPU, after the stores of this one."""
        self.wait_for_stores()
        super().flush_tlb_kernel_range(start, end)

    def flush_tlb_all(self) -> None:
        """Flush everything on every CPU, after the stores of this one."""
        self.wait_for_stores()
        super().flush_tlb_all()

    def kernel_data(self, size: int) -> int:
        """Return zeroed bytes within the step under way; their place does not matter."""
        self._footprint("adds", "kernel_data")
        return super().kernel_data(size)

    def change_key(self, delta: int) -> None:
        """Change the static key in one step; two changes commute."""
        self.wait_for_stores()
        with self.locks.cpu_hotplug_lock.shared:
            self.scheduler.point(f"static key {delta:+d}")
            self.scheduler.footprint.adds.add(("key",))
            self.key += delta
        if self.trace.listeners:
            self.trace.emit(KeyChanged(delta))

    def key_enabled(self) -> bool:
        """Return in one step whether the static key is on. Kernel: static_branch_unlikely()."""
        self.scheduler.point("read the static key")
        self.scheduler.footprint.reads.add(("key",))
        return self.key > 0

    def memmap_pages_add(self, delta: int) -> None:
        """Count within the step under way; no actor reads the counter."""
        self.scheduler.footprint.adds.add(("nr_memmap_pages",))
        super().memmap_pages_add(delta)

    def memmap_boot_pages_add(self, delta: int) -> None:
        """Count within the step under way."""
        self.scheduler.footprint.adds.add(("nr_memmap_boot_pages",))
        super().memmap_boot_pages_add(delta)
