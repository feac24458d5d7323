# SPDX-License-Identifier: GPL-2.0-only
"""Machines of dumps."""

from __future__ import annotations

import pytest

from hvolab.plugin import registry
from hvolab_vmcore.torture.machine import TortureMachine, optimizable_sizes


@pytest.mark.parametrize(("release", "saved"), [("6.1", 21), ("6.12", 21), ("7.2", 20)])
def test_three_of_four_huge_pages_are_optimized(release: str, saved: int) -> None:
    machine = TortureMachine(registry().architecture("x86_64").select(release=release))
    pages = machine.huge_pages
    assert [one.optimized for one in pages].count(True) == 3
    assert len(pages) == 4
    assert machine.frames_saved == saved
    optimized = next(one for one in pages if one.optimized)
    assert [(part.pages, part.writable) for part in optimized.vmemmap] == [(1, True), (7, False)]
    plain = next(one for one in pages if not one.optimized)
    assert [part.writable for part in plain.vmemmap] == [True] * 8


def test_its_pages_hold_the_tables_the_struct_pages_and_the_note() -> None:
    machine = TortureMachine(registry().architecture("riscv").select())
    pages = machine.pages
    held = {part.pfn for one in machine.huge_pages for part in one.vmemmap}
    assert held <= set(pages)
    assert machine.machine.tables.root >> 12 in pages
    assert sum(data.startswith(b"OSRELEASE=6.12.0-torture\n") for data in pages.values()) == 1


def test_a_gigantic_huge_page_is_optimized_too() -> None:
    machine = TortureMachine(registry().architecture("x86_64").select(), gigantic=True)
    gigantic = max(machine.huge_pages, key=lambda one: one.size)
    assert (gigantic.size, gigantic.optimized) == (1 << 30, True)
    assert [part.pages for part in gigantic.vmemmap] == [1, 4095]
    assert machine.frames_saved == 21 + 4095
    assert optimizable_sizes(registry().architecture("arm64").select("64K-48bit")) == [512 << 20]
