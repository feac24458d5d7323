# SPDX-License-Identifier: GPL-2.0-only
"""Entries that are tried: enough of them, each once, varied at one level."""

from __future__ import annotations

from hvolab.arch import EntryKind
from hvolab.conformance.mmu.enumerate import ACCESSES, cases, deciding_mask
from hvolab.conformance.mmu.lab import lay_out
from hvolab.conformance.queries import kind_mask
from hvolab.plugin import registry
from tests.core.conformance.mmu.targets import DEFAULTS, target_of


def test_more_than_a_hundred_thousand_accesses_are_tried() -> None:
    total = 0
    for name in DEFAULTS:
        architecture = registry().architecture(name)
        assert architecture.emulation is not None
        for mode in architecture.modes:
            target = architecture.select(mode.name)
            if not architecture.emulation.refusal(target):
                total += len(ACCESSES) * sum(1 for _ in cases(lay_out(target)))
    assert total > 100_000


def test_each_case_is_another_and_varies_one_level() -> None:
    lab = lay_out(target_of("riscv"))
    tried = list(cases(lab, every_bit=False))
    assert len(set(tried)) == len(tried)
    assert {case.depth for case in tried} == set(range(lab.first, len(lab.slots)))
    assert all(len(case.entries) == len(lab.slots) and case.raw == case.entries[case.depth] for case in tried)


def test_more_bits_are_tried_where_every_bit_is() -> None:
    lab = lay_out(target_of("riscv"))
    assert set(cases(lab, every_bit=False)) < set(cases(lab))


def test_bits_of_a_leaf_decide_that_decide_nothing_in_an_entry_that_is_not_valid() -> None:
    target = target_of("x86_64")
    writable, dirty = 1 << 1, 1 << 6
    assert deciding_mask(target, EntryKind.LEAF) & (writable | dirty) == writable | dirty
    assert deciding_mask(target, EntryKind.NONE) == 0
    assert kind_mask(target, "pmd") & (1 | 1 << 7) == 1 | 1 << 7  # present, page size
