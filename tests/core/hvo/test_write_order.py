# SPDX-License-Identifier: GPL-2.0-only
"""The order in which a running kernel stored entries, flushed, waited and counted, and that of the engine.

tests/captures/x86_64-write-order.txt was seen at breakpoints in Debian's 6.12.107: two folios of 2 MiB in one PMD leaf
of boot memory, optimized as a batch, restored, optimized again. It leaves out the stores that fill a new table, the
static key, allocations and frees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import pytest

from hvolab.hvo import Hvo
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release.gfp import GFP_KERNEL
from hvolab.trace import AllFlushed, CounterChanged, EntriesStored, Event, GracePeriod, RangeFlushed
from hvolab_x86_64.description import X86_64
from tests.folios import Hstate, new_folio, new_list

CAPTURE = Path(__file__).parents[2] / "captures" / "x86_64-write-order.txt"
H = Hstate(9)
#: PFNs of the kernel's folios, in the order of its pool's list at the first batch and at the second.
FIRST, SECOND = (0x5A00, 0x5800), (0x5800, 0x5A00)
_ADDRESS = 0x000FFFFFFFFFF000
_WORD, _ENTRIES = 8, 512

#: One step: what it is called, and what is report of it.
Step = tuple[str, ...]


class Entry(NamedTuple):
    """An entry store: the name of its kind, the slot's index in its table, and both entries."""

    kind: str
    at: int
    before: int
    after: int


def entries_and_steps(text: str) -> list[Entry | Step]:
    """The lines of one phase of the capture."""
    report: list[Entry | Step] = []
    for line in text.splitlines():
        number = [int(value, 16) for value in re.findall(r"0x([0-9a-f]+)", line)]
        match line.split("(")[0].split()[0] if line.strip() else "":
            case "set_pte":
                slot, before, after = number
                report.append(Entry("pte", slot % 4096 // _WORD, before, after))
            case "pmd_populate":
                slot, before, table = number
                table_pa = table - 0xFFFF888000000000
                report.append(Entry("pmd", slot % 4096 // _WORD, before, table_pa | 0x67))
            case "flush_tlb_all" | "synchronize_rcu" as name:
                report.append((name,))
            case "memmap_pages_add" | "memmap_boot_pages_add" as name:
                report.append((name, line.split("(")[1].split(")")[0]))
            case "vmemmap_pmd_entry" | "__hugetlb_vmemmap_optimize_folio" | "__hugetlb_vmemmap_restore_folio" | "":
                continue
            case other:
                raise AssertionError(other)
    return report


def phases() -> list[list[Entry | Step]]:
    """The three phases of the capture."""
    return [entries_and_steps(part.partition("\n")[2]) for part in CAPTURE.read_text().split("####")[1:]]


def of_engine(events: Iterable[Event]) -> list[Entry | Step]:
    """The engine's events, without what the capture leaves out."""
    report: list[Entry | Step] = []
    for event in events:
        match event:
            case EntriesStored(live=True):
                for position, (before, after) in enumerate(
                    zip(event.before.tolist(), event.after.tolist(), strict=True)
                ):
                    report.append(Entry(event.level, event.pa % 4096 // _WORD + position, before, after))
            case AllFlushed():
                report.append(("flush_tlb_all",))
            case RangeFlushed():
                report.append(("flush_tlb_kernel_range",))
            case GracePeriod():
                report.append(("synchronize_rcu",))
            case CounterChanged("nr_memmap_pages", delta):
                report.append(("memmap_pages_add", str(delta)))
            case CounterChanged("nr_memmap_boot_pages", delta):
                report.append(("memmap_boot_pages_add", str(delta)))
    return report


class Renaming:
    """Frames as numbers in order of appearance: equal for two sequences just if some renaming makes them equal."""

    def __init__(self) -> None:
        self._number: dict[int, int] = {}

    def frame(self, raw: int) -> str:
        frame = (raw & _ADDRESS) >> 12
        return f"frame {self._number.setdefault(frame, len(self._number))}"

    def steps(self, report: Iterable[Entry | Step]) -> list[Step]:
        """The steps, entries as index, flags and renamed frames."""
        steps: list[Step] = []
        for one in report:
            if not isinstance(one, Entry):
                steps.append(one)
                continue
            old, new = (f"{self.frame(raw)} {raw & ~_ADDRESS:#x}" for raw in (one.before, one.after))
            # the index of the PMD is where the kernel's RAM happened to lie; within a table it is the folio's
            steps.append((one.kind, str(one.at) if one.kind == "pte" else "", old, new))
        return steps


def the_engine() -> list[list[Entry | Step]]:
    """What the engine does when asked for the same."""
    machine: Machine = build_machine(X86_64.select(), MachineSpec(memory=256 << 20))
    while machine.struct_pages.pfn(new_folio(machine, H.order)) != min(FIRST) - 512:
        pass
    folios = {machine.struct_pages.pfn(folio): folio for folio in (new_folio(machine, H.order) for _ in range(2))}
    assert set(folios) == set(FIRST)
    warm = machine.alloc_pages(GFP_KERNEL, 0, 0)  # the frames of both kernels differ on purpose
    assert warm is not None
    hvo, recorded = Hvo(machine), []
    for phase, order in enumerate((FIRST, FIRST, SECOND)):
        head, other = new_list(machine, [folios[pfn] for pfn in order]), new_list(machine)
        with machine.trace.record(single_steps=True) as events:
            if phase == 1:
                assert hvo.restore_folios(H, head, other) == 2
            else:
                hvo.optimize_folios(H, head)
        recorded.append(of_engine(events))
    return recorded


@pytest.fixture(scope="module")
def kernel() -> list[list[Entry | Step]]:
    return phases()


@pytest.fixture(scope="module")
def engine() -> list[list[Entry | Step]]:
    return the_engine()


def test_the_capture_is_read_whole(kernel: list[list[Entry | Step]]) -> None:
    counted = [
        (sum(isinstance(one, Entry) for one in phase), sum(not isinstance(one, Entry) for one in phase))
        for phase in kernel
    ]
    assert counted == [(17, 21), (14, 4), (16, 21)]


@pytest.mark.parametrize("phase", [0, 1, 2], ids=["optimize", "restore", "optimize again"])
def test_steps_and_entries_are_the_kernel_s_up_to_a_renaming_of_frames(
    phase: int, kernel: list[list[Entry | Step]], engine: list[list[Entry | Step]]
) -> None:
    assert Renaming().steps(engine[phase]) == Renaming().steps(kernel[phase])


@pytest.mark.parametrize("who", ["kernel", "engine"])
def test_each_phase_begins_with_the_entries_that_the_one_before_left(who: str, request: pytest.FixtureRequest) -> None:
    recorded: list[list[Entry | Step]] = request.getfixturevalue(who)
    standing: dict[int, int] = {}
    for phase in recorded:
        for one in phase:
            if isinstance(one, Entry) and one.kind == "pte":
                assert one.before == standing.get(one.at, one.before)
                standing[one.at] = one.after
    assert len(standing) == 16


def test_a_renaming_tells_sequences_apart_that_share_frames_differently() -> None:
    shared = [Entry("pte", 0, 0x1163, 0x5163), Entry("pte", 1, 0x2163, 0x5121)]
    renamed = [Entry("pte", 0, 0x7163, 0x9163), Entry("pte", 1, 0x8163, 0x9121)]
    apart = [Entry("pte", 0, 0x1163, 0x5163), Entry("pte", 1, 0x2163, 0x6121)]
    assert Renaming().steps(shared) == Renaming().steps(renamed)
    assert Renaming().steps(shared) != Renaming().steps(apart)
