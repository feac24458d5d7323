# SPDX-License-Identifier: GPL-2.0-only
"""x86_64 in unicorn: the second fault is taken for a double fault unless a clean state is restored."""

from __future__ import annotations

import struct

import pytest

from hvolab.arch import PageFault
from hvolab_unicorn.families.x86 import X86
from tests.plugins.hvolab_unicorn.raw import cpu_of, raw_fault, unmapped


def test_x86_takes_the_second_fault_for_a_double_fault_unless_a_clean_state_is_restored() -> None:
    cpu = cpu_of("x86_64")
    va = unmapped(cpu)
    assert [raw_fault(cpu.vcpu, va) for _ in range(3)] == [14, 8, None]
    cpu.vcpu.uc.context_restore(cpu.vcpu._clean)
    for _ in range(5):
        with pytest.raises(PageFault) as caught:
            cpu.load_word(va)
        assert dict(caught.value.fault.syndrome)["vector"] == 14


def test_gate_14_leads_to_the_handler() -> None:
    area = cpu_of("x86_64").vcpu.area
    low, high = struct.unpack("<2Q", area.view(area.tables + 0x100 + 14 * 16, 16))
    assert (low & 0xFFFF) | (low >> 48) << 16 | high << 32 == area.text_va + 0x200


def test_the_syndrome_is_vector_error_code_and_cr2() -> None:
    syndrome = X86.syndrome(None, 14, {"error_code": 3, "cr2": 0x1000})
    assert syndrome == (("vector", 14), ("error_code", 3), ("cr2", 0x1000))
    assert dict(syndrome)[X86.address_register] == 0x1000
