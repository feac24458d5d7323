# SPDX-License-Identifier: GPL-2.0-only
"""Expected memory: it follows stores, reports the first word that differs, and notices stores elsewhere."""

from __future__ import annotations

import pytest

from hvolab.conformance.checks.machines import small_spec
from hvolab.conformance.effects.compare import ExpectedMemory
from hvolab.conformance.effects.trials import TrialPages
from hvolab.machine import Machine, build_machine
from tests.core.conformance.mutants import SV39


@pytest.fixture
def pages() -> TrialPages:
    return TrialPages.of(build_machine(SV39.select(), small_spec(SV39.select())))


def store(machine: Machine, va: int, value: int) -> None:
    machine.memory.write_word(va - machine.virt(0), value)


def test_what_was_expected_is_no_difference(pages: TrialPages) -> None:
    expected = ExpectedMemory(pages.machine)
    assert (expected.difference(), expected.elsewhere()) == ("", "")
    expected.store(pages.b + 8, 5, 8)
    store(pages.machine, pages.b + 8, 5)
    expected.store(pages.c + 3, 0xAB, 1)
    pages.machine.memory.view(pages.c + 3 - pages.machine.virt(0), 1)[:] = 0xAB
    assert expected.load(pages.b + 8, 8) == 5
    assert expected.load(pages.c + 3, 1) == 0xAB
    assert expected.difference() == ""


def test_the_first_word_that_differs_is_reported_with_its_va(pages: TrialPages) -> None:
    expected = ExpectedMemory(pages.machine)
    before = pages.word(pages.c + 16)
    store(pages.machine, pages.c + 16, before ^ 1)
    found = f"the word at VA {pages.c + 16:#x} is {before ^ 1:#x}, not {before:#x}"
    assert expected.difference() == found


def test_a_store_to_a_frame_that_held_zeros_is_noticed_and_one_to_a_frame_of_a_cpu_is_not(pages: TrialPages) -> None:
    machine = pages.machine
    expected = ExpectedMemory(machine)
    assert machine.guest is not None
    machine.memory.write_word(machine.guest.frames[0] << machine.memory.page_shift, 1)
    assert expected.elsewhere() == ""
    empty = next(frame for frame in range(machine.memory.frames) if not machine.memory.pages[frame].any())
    machine.memory.pages[empty][0] = 1
    assert expected.elsewhere() == f"a store changed frame {empty + machine.memory.first_pfn:#x}"
