# SPDX-License-Identifier: GPL-2.0-only
"""What entries allow: judged once for each combination of their deciding bits, in the order in which hardware looks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hvolab.arch import Access, FaultKind, PgprotRole, Target, UpdateRule
from hvolab.machine import WalkPermissions
from hvolab.plugin import registry

READ, WRITE = Access.READ.value, Access.WRITE.value
_RISCV_A, _RISCV_D, _ARM64_AF, _ARM64_RDONLY = 1 << 6, 1 << 7, 1 << 10, 1 << 7


def way(target: Target) -> list[int]:
    """Table entries down to a page."""
    return [target.table(level.name, 1) for level in target.mode.levels[:-1]]


def judged(target: Target, raw: int, need: int) -> FaultKind | None:
    tables = way(target)
    return WalkPermissions(target).of(len(tables), raw, tables).fault(need)


def page(target: Target, role: PgprotRole = PgprotRole.KERNEL, pfn: int = 5) -> int:
    return target.leaf(target.mode.last.name, pfn, role)


@pytest.mark.parametrize("architecture", ["x86_64", "arm64", "riscv"])
def test_kernel_pages_allow_and_read_only_ones_refuse_stores(architecture: str) -> None:
    target = registry().architecture(architecture).select(profile="strict")
    assert judged(target, page(target), READ | WRITE) is None
    assert judged(target, page(target, PgprotRole.KERNEL_RO), READ) is None
    assert judged(target, page(target, PgprotRole.KERNEL_RO), WRITE) is FaultKind.PERMISSION
    assert judged(target, 0, READ) is FaultKind.TRANSLATION


def test_a_clear_accessed_flag_is_told_before_a_missing_permission() -> None:
    target = registry().architecture("arm64").select()
    assert judged(target, page(target) & ~_ARM64_AF | _ARM64_RDONLY, WRITE) is FaultKind.ACCESS_FLAG
    assert judged(target, page(target) | _ARM64_RDONLY, WRITE) is FaultKind.PERMISSION


def test_a_clear_dirty_flag_is_told_to_stores_alone() -> None:
    target = registry().architecture("riscv").select()
    raw = page(target) & ~_RISCV_D
    assert judged(target, raw, WRITE) is FaultKind.DIRTY_FLAG
    assert judged(target, raw, READ) is None
    assert judged(target, raw & ~_RISCV_A, READ) is FaultKind.ACCESS_FLAG
    walker = replace(target, mmu=replace(target.mmu, accessed_by=UpdateRule.WALKER, dirty_by=UpdateRule.WALKER))
    assert judged(walker, raw & ~_RISCV_A, WRITE) is None


def test_reserved_bits_fault_where_walks_look_at_them() -> None:
    riscv = registry().architecture("riscv").select()
    assert judged(riscv, page(riscv) | 1 << 60, READ) is FaultKind.RESERVED
    assert judged(replace(riscv, mmu=replace(riscv.mmu, reserved_faults=False)), page(riscv) | 1 << 60, READ) is None
    tables = way(riscv)
    assert WalkPermissions(riscv).of(len(tables) - 1, tables[-1], tables[:-1]).refused is FaultKind.RESERVED


def test_pages_that_differ_in_their_frame_are_judged_once() -> None:
    target = registry().architecture("x86_64").select()
    verdicts, tables = WalkPermissions(target), way(target)
    first = verdicts.of(3, page(target, pfn=5), tables)
    assert verdicts.of(3, page(target, pfn=9), tables) is first
    elsewhere = [target.table(level.name, 0x1FF) for level in target.mode.levels[:-1]]
    assert verdicts.of(3, page(target), elsewhere) is first
    assert verdicts.of(3, page(target, PgprotRole.KERNEL_RO), tables) is not first
    assert len(verdicts.known) == 2
