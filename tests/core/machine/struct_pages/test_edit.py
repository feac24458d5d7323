# SPDX-License-Identifier: GPL-2.0-only
"""Runs of struct pages are changed page of vmemmap by page of vmemmap."""

from __future__ import annotations

from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.struct_pages.edit import Words, edit_struct_pages
from tests.machines import MIB, x86_64


def test_a_run_is_changed_in_parts_of_a_page() -> None:
    machine = build_machine(x86_64(), MachineSpec(memory=128 * MIB))
    pages, parts = machine.struct_pages, []

    def change(words: Words, first: int) -> None:
        parts.append((first, len(words)))
        words[:, pages.layout.private // 8] = range(first, first + len(words))

    edit_struct_pages(machine.cpus[0], pages, pages.va(0x1030), 100, change)
    assert parts == [(0, 16), (16, 64), (80, 20)]
    assert [pages.word(pfn, pages.layout.private) for pfn in (0x102F, 0x1030, 0x1093, 0x1094)] == [0, 0, 99, 0]
