# SPDX-License-Identifier: GPL-2.0-only
"""Queries of descriptions, against the known values of x86_64 and riscv."""

from __future__ import annotations

from hvolab.arch import EntryKind, Match, PgprotRole
from hvolab.conformance import queries
from hvolab.conformance.subject import Subject
from tests.core.conformance.mutants import ARM_16K, SV39, X86

TARGET = X86.select()
MIB = 1 << 20


def test_the_bits_of_patterns_are_united_and_a_broken_pattern_has_them_all_wrong() -> None:
    assert queries.bits_of((Match(0b11, 0b01), None, Match(0b110, 0))) == 0b111
    assert queries.bits_of(()) == 0
    assert queries.broken(Match(0b0110, 0b0100), 0b1101) == 0b1011
    assert queries.broken(None, 0b1101) == 0b1101


def test_levels_of_leaves_and_tables() -> None:
    assert queries.large_leaf_levels(TARGET) == ["pud", "pmd"]
    assert list(queries.kernel_tables(TARGET)) == ["pgd", "pud", "pmd"]
    assert {form.kind for form in queries.forms_at(TARGET.mode, "pte")} == {EntryKind.LEAF}


def test_the_kernels_leaves_are_pages_first() -> None:
    found = list(queries.kernel_leaves(TARGET))
    assert [(level, role) for level, role, _ in found] == [
        ("pte", PgprotRole.KERNEL),
        ("pte", PgprotRole.KERNEL_RO),
        ("pud", PgprotRole.KERNEL_LARGE),
        ("pmd", PgprotRole.KERNEL_LARGE),
    ]
    assert all(TARGET.decode(level, raw).kind is EntryKind.LEAF for level, _, raw in found)


def test_patterns_of_the_mmu_are_those_of_the_kind() -> None:
    leaf = dict(queries.mmu_patterns(TARGET, EntryKind.LEAF))
    assert leaf["dirty"] == TARGET.mmu.dirty
    assert "dirty" not in dict(queries.mmu_patterns(TARGET, EntryKind.TABLE))


def test_sizes_that_hvo_can_optimize_and_those_that_span_tables() -> None:
    assert queries.optimizable_sizes(TARGET) == [2 * MIB, 1024 * MIB]
    assert queries.spanning_sizes(TARGET) == [1024 * MIB]
    assert queries.vmemmap_sizes(TARGET.mode, 2 * MIB).saved_pages == 7
    assert queries.spanning_sizes(ARM_16K.select()) == []


def test_reference_values_are_those_of_the_mode() -> None:
    subject = Subject(SV39, "Sv39")
    assert {known.mode for known in queries.figures_of(subject)} == {"Sv39"}
    assert queries.examples_of(subject)


def test_the_ranges_of_direct_map_and_vmemmap() -> None:
    mode = TARGET.mode
    (_, start, end), (name, vmemmap, vmemmap_end) = queries.kernel_ranges(mode)
    assert (start, end - start, name, vmemmap) == (
        mode.direct_map_base,
        mode.direct_map_size,
        "vmemmap",
        mode.vmemmap_base,
    )
    assert vmemmap_end - vmemmap == mode.direct_map_size // 4096 * 64
