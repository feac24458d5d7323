# SPDX-License-Identifier: GPL-2.0-only
"""Machines as a kernel's own HVO code found them when its trace was recorded, and the engine's log in the same form.

The key is tests/kernel_traces/README.md.
"""

from __future__ import annotations

import json
import lzma
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.hvo import Hvo, HvoEngine
from hvolab.machine import (
    SCRATCH_FRAMES,
    CpuMaker,
    Machine,
    ModelCpu,
    PageTables,
    PhysicalMemory,
    StructPages,
    map_guest_text,
    use_cpus,
)
from hvolab.machine.checkpoint import Checkpoint, Restorable
from hvolab.machine.struct_pages import lists
from hvolab.machine.struct_pages.records import StructPageRecords
from hvolab.trace import (
    AllFlushed,
    CounterChanged,
    EntriesStored,
    Event,
    GracePeriod,
    KeyChanged,
    PagesAllocated,
    PagesFreed,
    PageSplit,
    RangeFlushed,
    Trace,
)

TRACES = Path(__file__).parent / "kernel_traces"
FIRST_FOLIO_OFFSET = 0x40000
_RAM, _TABLES, _LISTS, _UNITS = 0x10000000, 0x8400000, 0xB800800, 16
#: Bytes of list heads of pools, that far above the list heads of calls.
_OWN_LISTS = 0x100
#: Frames of emulated CPUs, above all frames of the kernel's code.
_GUEST = 0xF000000
_WORDS = 8

Pfns = npt.NDArray[np.int64]
Log = list[list[Any]]
#: Bytes of a laboratory's initial page tables, by kernel: mapping takes longer than most runs.
_MAPPED: dict[tuple[str, str, int], bytes] = {}


def load(name: str) -> Any:
    """Load the trace of that name, which may be compressed."""
    path = TRACES / f"{name}.json"
    return json.loads(path.read_text() if path.exists() else lzma.decompress(path.with_suffix(".json.xz").read_bytes()))


@dataclass
class Order:
    """An hstate with the only member that HVO reads."""

    order: int


class MonotonicPool:
    """Frames from one PFN on, none reused; the calls in ``fail`` (1-based, since armed) fail.

    folios  blocks for allocations of more than a frame, the next last; those are not counted
    """

    def __init__(self, first: int) -> None:
        self.first = first
        self.allocated = 0
        self.folios: list[int] = []
        self.arm([])

    def arm(self, fail: Iterable[int]) -> None:
        self.fail = set(fail)
        self.calls = 0

    def save(self) -> Callable[[], None]:
        """Save which frames are allocated; return the function that restores it."""
        allocated, folios = self.allocated, self.folios.copy()

        def restore() -> None:
            self.allocated, self.folios = allocated, folios.copy()

        return restore

    def allocate(self, order: int, gfp: int, node: int) -> int | None:  # noqa: ARG002 - a FrameSource's
        if order:
            return self.folios.pop()
        self.calls += 1
        if self.calls in self.fail:
            return None
        pfn = self.first + self.allocated
        self.allocated += 1 << order
        return pfn

    def allocate_run(self, count: int, gfp: int, node: int) -> Pfns:
        pfns: list[int] = []
        while len(pfns) < count and (pfn := self.allocate(0, gfp, node)) is not None:
            pfns.append(pfn)
        return np.array(pfns, dtype=np.int64)

    def allocate_contiguous(self, frames: int, gfp: int, node: int, align: int) -> int | None:  # noqa: ARG002
        return self.allocate(frames.bit_length() - 1, gfp, node)  # only pools do that

    def certain(self, count: int, gfp: int, node: int) -> bool:
        del count, gfp, node
        return False  # every call may fail

    def free(self, pfn: int, order: int) -> None:
        if order:
            self.folios.append(pfn)

    def free_run(self, pfns: Pfns) -> None:
        assert pfns.size == 1 or np.unique(pfns).size == pfns.size

    def split(self, pfn: int, order: int, to_order: int = 0) -> None:
        assert pfn % (1 << order) == to_order == 0

    def release_reserved(self, pfns: Pfns) -> None:
        assert np.unique(pfns).size == pfns.size

    def release_reserved_one(self, pfn: int) -> None:
        pass


class Laboratory:
    """One machine as the kernel's code found it, with folios at given PFNs.

    cpu     makes its CPU; ``None``: a modeled one
    engine  makes its HVO engine
    """

    def __init__(
        self,
        target: Target,
        meta: dict[str, Any],
        folios: list[int],
        order: int,
        *,
        boot: bool,
        cpu: CpuMaker | None = None,
        engine: Callable[[Machine], HvoEngine] = Hvo,
    ) -> None:
        mode = target.mode
        self.target, self.order, self.h = target, order, Order(order)
        self.ram = int(meta["ram_base"], 16)
        self.backing = int(meta["vmemmap_backing_first"], 16)
        memory = PhysicalMemory(self.ram, _RAM, page_shift=mode.page_shift, byte_order=target.architecture.byte_order)
        self._next_table = self.ram + _TABLES
        self.tables = PageTables(memory, target, self._new_table())
        self.pool = MonotonicPool(int(meta["pool_first"], 16))
        # a trace has the fields that HVO reads in which its kernel's struct pages differ from those of v6.12
        self.layout = layout = replace(
            target.struct_page, **{name: _tupled(one) for name, one in meta.get("layout", {}).items()}
        )
        pages = StructPages(self.tables, layout)
        trace = Trace()
        self.machine = Machine(
            target,
            memory,
            self.tables,
            pages,
            StructPageRecords(pages, memory.halves),
            self.pool,
            trace,
            _data=(self.tables.virt(self.ram + _LISTS + _OWN_LISTS), _OWN_LISTS),
        )
        self.machine.cpus = [ModelCpu(0, memory, self.tables, trace)]
        assert mode.vmemmap_base == int(meta["vmemmap"], 16)
        assert mode.direct_map_base == int(meta["direct_map"], 16)
        self._map_once(meta)
        self._map_guest()
        if cpu is not None:
            use_cpus(self.machine, cpu)
        self.hvo = engine(self.machine)
        self.cpu = self.machine.cpus[0]
        self.list_va = self.machine.virt(self.ram + _LISTS)
        self.other_list_va = self.list_va + 0x20
        for pfn in folios:
            self.fill(pfn, meta)
            if boot:
                self.reserve_vmemmap(pfn)

    def _map_guest(self) -> None:
        """Map guest text, in frames that the kernel's code never used."""
        base, first = self.target.mode.text_base, (self.ram + _GUEST) >> self.target.mode.page_shift
        assert base is not None
        self.machine.guest = map_guest_text(self.tables, (first, first + SCRATCH_FRAMES), base)

    def _new_table(self, *_: object) -> int:
        self._next_table += self.target.mode.page_size
        return self._next_table - self.target.mode.page_size

    def _map_once(self, meta: dict[str, Any]) -> None:
        """Map as :meth:`_map` does, or copy the tables of an earlier laboratory of the same kernel."""
        key = (str(self.target), meta["leaf_prot_initial"], self.backing)
        first, memory = self.ram + _TABLES, self.machine.memory
        if key not in _MAPPED:
            self._map(meta)
            _MAPPED[key] = memory.view(first, self._next_table - first).tobytes()
        tables = np.frombuffer(_MAPPED[key], dtype=np.uint8)
        memory.view(first, tables.size)[:] = tables
        self._next_table = first + tables.size

    def _map(self, meta: dict[str, Any]) -> None:
        mode, shift = self.target.mode, self.target.mode.page_shift
        level = mode.levels[-2]
        leaf = mode.format.form(level.name, EntryKind.LEAF)
        for base, first, units in (
            (mode.direct_map_base, self.ram >> shift, _RAM // level.size),
            (mode.vmemmap_base, self.backing, _UNITS),
        ):
            for unit in range(units):
                va, pfn = base + unit * level.size, first + (unit * level.size >> shift)
                self.tables.map_leaf(va, pfn, level.name, PgprotRole.KERNEL_LARGE, self._new_table)
                raw = leaf.put_address(pfn << shift) | int(meta["leaf_prot_initial"], 16)
                self.machine.memory.write_word(self.tables.find(va).slot, raw)

    def fill(self, pfn: int, meta: dict[str, Any]) -> None:
        """Fill the folio's struct pages as ``folio_fill`` of the traces."""
        count, page = 1 << self.order, self.machine.struct_pages.va(pfn)
        pa = (self.backing << self.target.mode.page_shift) + (pfn - (self.ram >> self.target.mode.page_shift)) * 64
        words = self.machine.memory.word_view(pa, count * _WORDS).reshape(count, _WORDS)
        rows = np.arange(pfn, pfn + count, dtype=np.uint64) * np.uint64(0x1000)
        np.add.outer(rows, np.arange(_WORDS, dtype=np.uint64), out=words)
        words[:, [0, 5, 6]] = 0
        words[1:, 1] = page | 1
        words[0, 0] = 1 << meta["off"]["PG_head"]
        words[0, 1:3] = page + 8

    def reserve_vmemmap(self, pfn: int) -> None:
        """Mark the frames behind the folio's vmemmap as boot memory."""
        frames = self.tables.frames(self.machine.struct_pages.va(pfn), self.pages)
        machine, layout = self.machine, self.layout
        machine.struct_pages.set_words(frames, layout.flags, 1 << layout.pg_reserved)
        machine.struct_pages.set_words(frames, layout.index, layout.bootmem_types[0])

    @property
    def pages(self) -> int:
        return self.hvo.sizes(self.h).pages

    def link(self, folios: list[int]) -> None:
        """Initialize the lists of a batch call: these folios on the first, none on the second."""
        for head in (self.list_va, self.other_list_va):
            lists.init(self.cpu, head)
        for pfn in folios:
            lists.add_tail(self.cpu, self.machine.struct_pages.va(pfn) + self.layout.lru_next, self.list_va)

    def list_of(self, head: int) -> list[str]:
        """Return the PFNs on a list."""
        return [hex(self.machine.struct_pages.pfn(node - self.layout.lru_next)) for node in lists.nodes(self.cpu, head)]

    def begin(self) -> None:
        """Save the state of machine and engine, to which `restart` returns."""
        self._begun = Checkpoint(self.machine, *([self.hvo] if isinstance(self.hvo, Restorable) else []))

    def restart(self) -> None:
        """Restore the state in which `begin` was called."""
        self._begun.restore()

    def call(self, function: str, folios: list[int], fail: Iterable[int]) -> tuple[int, list[Event]]:
        """Call the engine's method for one of the kernel's functions; return its result and its events."""
        events: list[Event] = []

        def note(event: Event) -> None:
            if type(event) in _ENTRIES_OF:  # the others are many, and not in traces
                events.append(event)

        self.machine.flush_tlb_all()
        with self.machine.trace.listen(note, single_steps=True):
            result = self.carry_out(function, folios, fail)
        return result, events

    def carry_out(self, function: str, folios: list[int], fail: Iterable[int] = ()) -> int:
        """Call the engine's method for one of the kernel's functions; return its result."""
        self.pool.arm(fail)
        folio = self.machine.struct_pages.va(folios[0])
        match function.removeprefix("hugetlb_vmemmap_"):
            case "optimize_folio":
                self.hvo.optimize_folio(self.h, folio)
            case "restore_folio":
                return self.hvo.restore_folio(self.h, folio)
            case "optimize_folios":
                self.hvo.optimize_folios(self.h, self.list_va)
            case "restore_folios":
                return self.hvo.restore_folios(self.h, self.list_va, self.other_list_va)
            case other:
                raise AssertionError(other)
        return 0

    def final(self, pfn: int) -> dict[str, Any]:
        """Return mapping and contents of a folio's vmemmap in the form of a trace."""
        va, machine = self.machine.struct_pages.va(pfn), self.machine
        mode, form = self.target.mode, self.target.page_form
        levels = list(reversed(mode.levels))
        rows: list[tuple[int, int, int]] = []
        for run in self.tables.runs(va, va + self.pages * mode.page_size):
            depth = levels.index(run.level)
            if depth == 0:
                prots = (run.raws & ~np.uint64(form.address_mask)).tolist()
                rows += zip([0] * run.raws.size, self.target.page_frames(run.raws).tolist(), prots, strict=True)
            else:
                leaf, raw = mode.format.form(run.level.name, EntryKind.LEAF), int(run.raws[0])
                inside = (run.va & (run.level.size - 1)) >> mode.page_shift
                count = min(self.pages - len(rows), (run.level.size >> mode.page_shift) - inside)
                first = (leaf.get_address(raw) >> mode.page_shift) + inside
                rows += [(depth, first + page, raw & ~leaf.address_mask) for page in range(count)]
        shared = {frame for _, frame, _ in rows}
        crc_of = {frame: zlib.crc32(machine.memory.frame(frame).data) for frame in shared}
        crcs = [crc_of[frame] for _, frame, _ in rows]
        whole = zlib.crc32(np.array(crcs, dtype="<u4").tobytes())
        word = machine.cpus[0].load_word
        return {
            "runs": _folded(rows),
            "content_crc": crcs if len(crcs) <= 8 else whole,
            "private": word(va + self.layout.private),
            "lru": [hex(word(va + self.layout.lru_next)), hex(word(va + self.layout.lru_prev))],
        }


def _tupled(value: Any) -> Any:
    """Return a list of JSON as the tuple of a layout."""
    return tuple(value) if isinstance(value, list) else value


def _folded(rows: list[tuple[int, int, int]]) -> list[list[Any]]:
    """Fold runs of (level, frame, pgprot) as traces do: [first, count, level, frame, step, pgprot]."""
    runs: list[list[Any]] = []
    first = 0
    while first < len(rows):
        level, frame, prot = rows[first]
        step, last = 0, first + 1
        if last < len(rows):
            step = rows[last][1] - frame
            alike = rows[last][0] == level and rows[last][2] == prot and step in {-1, 0, 1}
            step = step if alike else 0
            while alike and last < len(rows) and rows[last] == (level, frame + step * (last - first), prot):
                last += 1
        runs.append([first, last - first, level, frame, step, hex(prot)])
        first = last
    return runs


_VARYING = {"alloc", "free", "free_reserved", "adjust_managed", "put_page_bootmem"}


def unfolded(log: Log) -> Log:
    """Return a trace's log with its folded repeats written out."""
    out: Log = []
    for entry in log:
        if entry[0] != "run":
            out.append(entry)
            continue
        _, count, stride, group = entry
        for repeat in range(count):
            for one in group:
                copied = list(one)
                if copied[0] in _VARYING:
                    copied[-1 if copied[0] == "alloc" else 1] += stride * repeat
                out.append(copied)
    return out


def _allocations(event: PagesAllocated) -> Log:
    call = [
        "alloc",
        "alloc_pages_noprof" if event.node is None else "__alloc_pages_noprof",
        hex(event.gfp),
        event.order,
    ]
    call += [] if event.node is None else [event.node]
    return [[*call, pfn] for pfn in event.pfns.tolist()] + ([[*call, "FAIL"]] if event.failed else [])


def _frees(event: PagesFreed) -> Log:
    match event.how:
        case "put_page_bootmem":
            return [["put_page_bootmem", pfn] for pfn in event.pfns.tolist()]
        case "free_reserved_page":
            return [["free_reserved", pfn] for pfn in event.pfns.tolist()]
        case _:
            return [["free", pfn, event.order] for pfn in event.pfns.tolist()]


#: Entries of the log for each event that is an outside call or a page-table write; traces have no others.
_ENTRIES_OF: dict[type[Event], Callable[[Any], Log]] = {
    KeyChanged: lambda event: [["key", event.delta]],
    GracePeriod: lambda _: [["rcu"]],
    CounterChanged: lambda event: [["memmap" if event.counter == "nr_memmap_pages" else "memmap_boot", event.delta]],
    PageSplit: lambda event: [["split_page", event.pfn, event.order]],
    RangeFlushed: lambda event: [["flush", hex(event.start), hex(event.end)]],
    AllFlushed: lambda _: [["flush_all"]],
    PagesAllocated: _allocations,
    PagesFreed: _frees,
    EntriesStored: lambda event: [["entries", event]],
}


def log_of(events: Iterable[Event]) -> Log:
    """Return the log of the engine's events: outside calls and page-table writes in the form of a trace."""
    log: Log = []
    for event in events:
        convert = _ENTRIES_OF.get(type(event))
        if convert is not None:
            log += convert(event)
    return log


def calls(events: Iterable[Event]) -> Log:
    """Return the log of the outside calls alone."""
    return [entry for entry in log_of(events) if entry[0] != "entries"]


def inlined(log: Log) -> Log:
    """Return the log of a kernel whose flushes and static keys are inline.

    It has no key calls, and a flush of more pages than a table has entries flushes everything.
    Kernel: MAX_DVM_OPS in arch/arm64/include/asm/tlbflush.h, v6.12.
    """
    pages = 512 << 12
    whole = [entry[0] == "flush" and int(entry[2], 16) - int(entry[1], 16) > pages for entry in log]
    shown = [["flush_all"] if full else entry for full, entry in zip(whole, log, strict=True)]
    return [entry for entry in shown if entry[0] != "key"]
