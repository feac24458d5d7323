# SPDX-License-Identifier: GPL-2.0-only
"""riscv in unicorn: the PC of a fault is four bytes behind its instruction."""

from __future__ import annotations

import pytest

from hvolab.arch import PageFault
from hvolab_unicorn.families.riscv import RISCV
from tests.plugins.hvolab_unicorn.raw import cpu_of, unmapped


def test_riscv_reports_a_pc_that_is_four_beyond_the_fault() -> None:
    cpu = cpu_of("riscv")
    with pytest.raises(PageFault) as caught:
        cpu.load_word(unmapped(cpu))
    sepc = dict(caught.value.fault.syndrome)["sepc"]
    routine = cpu.vcpu.routines["load"]
    # six loads of arguments, then the one that faults
    assert sepc == routine.begin + 6 * 4
    handled = cpu_of("riscv", handler=True)
    with pytest.raises(PageFault) as caught:
        handled.load_word(unmapped(handled))
    assert dict(caught.value.fault.syndrome)["sepc"] == sepc


def test_page_faults_access_faults_and_unaligned_addresses_are_faults_of_the_mmu() -> None:
    assert {12, 13, 15, 1, 5, 7, 4, 6} == RISCV.page_faults
    assert RISCV.counter_offset == 4
