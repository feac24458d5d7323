# SPDX-License-Identifier: GPL-2.0-only
"""Probes: a syndrome that differs, and restored pages that share a frame, are mismatches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import Access, FaultKind, FieldValues, values
from hvolab.hvo import Hvo
from hvolab.hvo.sizes import HasOrder
from hvolab_unicorn.verify import verify
from hvolab_unicorn.verify.probes import ProbeMismatch, Verification, in_words
from tests.plugins.hvolab_unicorn.twins import lab
from tests.plugins.hvolab_unicorn.verify.targets import few, mismatching


@pytest.mark.slow
@pytest.mark.arch("arm64")
def test_a_wrong_syndrome_is_a_mismatch_of_every_fault() -> None:
    lab("arm64")  # finds the fields of the emulator's state, for all CPUs of the process, by the right syndromes
    right = few().mmu.syndrome

    def wrong(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
        reported = dict(right(kind, access, va, depth))
        return values(esr=reported["esr"] ^ (1 << 6), far=reported["far"])  # WnR the wrong way round

    found = verify(replace(few(), mmu=replace(few().mmu, syndrome=wrong)))
    assert mismatching(found) >= {"store to a tail", "jump into the vmemmap", "compare_and_swap that fails, of a tail"}
    assert found.counts.faults == 0
    assert not found.as_declared


@pytest.mark.slow
@pytest.mark.arch("arm64")
def test_restored_pages_that_share_a_frame_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Hvo.restore_folio

    def two_on_one_frame(self: Hvo, h: HasOrder, folio: int) -> int:
        result = restore(self, h, folio)
        machine, size = self.machine, self.machine.target.mode.page_size
        (_, kept, raw), (_, lost, _) = (machine.tables.descend(folio + page * size) for page in (2, 3))
        assert kept != lost
        machine.memory.words[lost] = raw
        machine.flush_tlb_all()
        return result

    monkeypatch.setattr(Hvo, "restore_folio", two_on_one_frame)
    found = verify(few())
    assert mismatching(found) == {"a store to a restored page"}
    assert len(found.mismatches) == 2 * found.counts.huge_pages  # on each of two CPUs


def test_a_mismatch_names_access_cpu_and_va() -> None:
    assert str(ProbeMismatch("a store", 1, 0x1000, "no fault", "esr=0x1")) == (
        "a store on CPU 1 at VA 0x1000: expected no fault, seen esr=0x1"
    )
    assert in_words((("esr", 0x92000007), ("far", 16))) == "esr=0x92000007 far=0x10"


def test_only_the_first_result_of_a_kind_is_kept_for_each_cpu() -> None:
    machine, cpu = lab("riscv")
    found = Verification(machine.target)
    for result in ("first", "second"):
        found.record("load", "of a tail", cpu, result)
    found.check(True, "a load", cpu, 0, "this", "this")
    assert [(record.step, record.cpus) for record in found.records.values()] == [("load", ["first", ""])]
    assert found.mismatches == []
