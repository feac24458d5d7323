# SPDX-License-Identifier: GPL-2.0-only
"""The description of riscv: bases of its modes, writable tails under Linux, features."""

from __future__ import annotations

import pytest

from hvolab.arch import Access, FaultKind, MemoryOrder, PgprotRole, UpdateRule
from hvolab_riscv.description import RISCV


@pytest.mark.parametrize(
    ("mode", "levels", "vmemmap"),
    [
        ("Sv39", ["pgd", "pmd", "pte"], 0xFFFFFFC500000000),
        ("Sv48", ["pgd", "pud", "pmd", "pte"], 0xFFFF8D8000000000),
        ("Sv57", ["pgd", "p4d", "pud", "pmd", "pte"], 0xFF1C000000000000),
    ],
)
def test_modes_have_the_kernels_levels_and_vmemmap(mode: str, levels: list[str], vmemmap: int) -> None:
    described = RISCV.mode(mode)
    assert [level.name for level in described.levels] == levels
    assert described.vmemmap_base == vmemmap


def test_tails_are_writable_under_linux_and_read_only_under_strict() -> None:
    linux, strict = (RISCV.select(profile=profile) for profile in ("linux", "strict"))
    assert linux.bits("pte", PgprotRole.KERNEL_RO) == linux.bits("pte", PgprotRole.KERNEL)
    assert (linux.tails_fault, strict.tails_fault) == (False, True)


def test_features_change_walker_and_memory_order() -> None:
    assert RISCV.select().mmu.accessed_by is UpdateRule.SOFTWARE
    assert RISCV.select(features=("svadu",)).mmu.dirty_by is UpdateRule.WALKER
    assert RISCV.select(features=("ztso",)).traits.memory_order is MemoryOrder.TSO


@pytest.mark.parametrize(("access", "cause"), [(Access.READ, 13), (Access.WRITE, 15), (Access.EXECUTE, 12)])
def test_a_page_fault_has_the_cause_of_its_access(access: Access, cause: int) -> None:
    assert dict(RISCV.mmu.syndrome(FaultKind.TRANSLATION, access, 0x1000, 2)) == {"scause": cause, "stval": 0x1000}


def test_svnapot_and_svpbmt_together_have_both_fields_in_either_order() -> None:
    for features in (("svnapot", "svpbmt"), ("svpbmt", "svnapot")):
        entry = RISCV.select(features=features).decode("pte", 0xA0000000402B20E7)
        fields = dict(entry.fields)
        assert (entry.pfn, fields["N"], fields["PBMT"], fields["NAPOT_SIZE"]) == (0x100AC0, 1, 1, 8)


@pytest.mark.parametrize(
    ("kind", "access", "cause"),
    [
        (FaultKind.ALIGNMENT, Access.READ, 4),
        (FaultKind.ALIGNMENT, Access.ATOMIC, 6),
        (FaultKind.ABSENT, Access.READ, 5),
        (FaultKind.ABSENT, Access.WRITE, 7),
        (FaultKind.ABSENT, Access.EXECUTE, 1),
    ],
)
def test_other_faults_than_those_of_pages_have_causes_of_their_own(kind: FaultKind, access: Access, cause: int) -> None:
    assert dict(RISCV.mmu.syndrome(kind, access, 0x1004, 0)) == {"scause": cause, "stval": 0x1004}
