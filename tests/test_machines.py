# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from hvolab.machine import MachineSpec, build_machine
from tests.machines import MIB, same_bytes, x86_64


def test_a_byte_that_only_one_machine_has_stored_is_a_difference() -> None:
    one, other = (build_machine(x86_64(), MachineSpec(memory=64 * MIB)) for _ in range(2))
    assert same_bytes(one, other)
    other.memory.octets[50 * MIB] = 1
    assert not same_bytes(one, other)
    assert not same_bytes(other, one)
