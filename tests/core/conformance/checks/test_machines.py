# SPDX-License-Identifier: GPL-2.0-only
"""Machines of checks: their memory fits the pages, and their CPUs make single steps."""

from __future__ import annotations

import pytest

from hvolab.conformance.checks.machines import PooledMachine, emulated_cpu, memory_for, small_spec
from hvolab.errors import UsageError
from hvolab.machine import build_machine
from hvolab.scenario import memory_needed
from tests.core.conformance.mutants import SV39
from tests.made_up import MADE_UP

TARGET = SV39.select()
SIZE = 2 << 20


def test_memory_is_the_least_number_of_large_leaves_that_holds_the_pages() -> None:
    memory, needed = memory_for(TARGET, {SIZE: 3}), memory_needed(TARGET, 1, {SIZE: 3})
    assert memory % SIZE == 0
    assert 0 <= memory - needed < SIZE
    assert small_spec(TARGET).memory == memory_for(TARGET, {})


def test_a_pooled_machine_has_a_pool_for_each_size_and_room_for_the_pages() -> None:
    pooled = PooledMachine(TARGET, {SIZE: 3})
    assert [pool.h.size for pool in pooled.pools] == [huge.size for huge in TARGET.mode.huge_pages]
    pooled.pool(SIZE).set_max_huge_pages(3)
    assert pooled.pool(SIZE).h.nr == 3


def test_a_description_without_instructions_has_no_emulated_cpu() -> None:
    machine = build_machine(MADE_UP.select(), small_spec(MADE_UP.select()))
    with pytest.raises(UsageError, match="made-up declares no instructions"):
        emulated_cpu(MADE_UP, machine)
