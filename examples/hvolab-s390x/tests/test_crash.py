# SPDX-License-Identifier: GPL-2.0-only
"""The crash of 2025: what hvolab finds where flush_tlb_all() is empty and live entries are replaced by stores."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from hvolab.arch import PageFault
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Finding, Monitor, check
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab_s390x.description import S390X

PAGE = 1 << 12
TAIL = 2 * PAGE + 48


@dataclass
class Boot:
    """A machine with two CPUs and a pool of 1 MiB pages."""

    machine: Machine
    pool: Pool
    monitor: Monitor

    @classmethod
    def of(cls, *features: str) -> Boot:
        """The machine that has these features, with its direct map and vmemmap, and nothing optimized."""
        machine = build_machine(S390X.select(features=features), MachineSpec(memory=256 << 20, cpus=2))
        return cls(machine, Pool(machine, hstates(machine)[0], Hvo(machine)), Monitor(machine))

    def read_struct_pages(self) -> None:
        """CPU 1 reads every struct page there is: its TLB then holds the vmemmap as boot mapped it."""
        first, stop = self.machine.vmemmap[0]
        for pfn in range(first, stop, PAGE // 64):
            self.machine.cpus[1].load_word(self.machine.struct_pages.va(pfn))

    def optimize(self, count: int) -> int:
        """Fill the pool, and give the folio that was optimized first."""
        with self.monitor.watch():
            self.pool.set_max_huge_pages(count)
        return next(iter(self.pool.live))

    def found(self, rule: str) -> list[Finding]:
        """What breaks a rule, now and on the way."""
        return [
            finding for finding in (*check(self.machine, [self.pool]), *self.monitor.findings) if finding.rule == rule
        ]


def test_a_free_frame_stays_in_the_tlb_of_the_other_cpu() -> None:
    boot = Boot.of()
    boot.read_struct_pages()
    boot.optimize(4)
    stale = [finding for finding in boot.found("ownership") if "CPU 1 still has a translation" in finding.what]
    assert stale
    assert not stale[0].declared


def test_the_other_cpu_goes_on_storing_to_a_frame_that_was_freed() -> None:
    boot = Boot.of()
    boot.read_struct_pages()
    folio = boot.optimize(1)
    shared = boot.machine.tables.frame_of(folio + TAIL)
    assert shared is not None
    before = boot.machine.memory.read_word((shared << 12) + TAIL % PAGE)
    boot.machine.cpus[1].store_word(folio + TAIL, 0xBAD)  # no fault: the entry is read-only, what the TLB holds is not
    assert boot.machine.memory.read_word((shared << 12) + TAIL % PAGE) == before
    assert boot.machine.cpus[1].load_word(folio + TAIL) == 0xBAD


def test_live_entries_are_replaced_and_the_description_foretells_it() -> None:
    boot = Boot.of()
    boot.optimize(2)
    replaced = boot.found("live_entries")
    assert replaced
    assert all(finding.declared for finding in replaced)


def test_a_flush_that_flushes_leaves_only_the_replaced_entries() -> None:
    boot = Boot.of("flush")
    boot.read_struct_pages()
    folio = boot.optimize(4)
    assert check(boot.machine, [boot.pool]) == []
    assert {finding.rule for finding in boot.monitor.findings} == {"live_entries"}
    with pytest.raises(PageFault) as caught:
        boot.machine.cpus[1].store_word(folio + TAIL, 0xBAD)
    protection, teid = 0x4, (folio + TAIL) & ~0xFFF | 0x404
    assert dict(caught.value.fault.syndrome) == {"code": protection, "teid": teid}


def test_a_split_fills_half_a_frame_with_256_entries_and_the_rest_is_not_looked_at() -> None:
    boot = Boot.of("flush")
    folio = boot.optimize(1)
    step = boot.machine.tables.find(folio)
    assert (step.level.name, step.level.entries, step.level.table_bytes) == ("pte", 256, 2048)
    assert step.slot & 0x800 == 0
    octets = boot.machine.memory.view(step.slot, 8).tobytes()
    assert int.from_bytes(octets, "big") == step.raw
