# SPDX-License-Identifier: GPL-2.0-only
"""The interface of CPUs: small, and enough."""

from __future__ import annotations

import pytest

from hvolab.machine import Cpu, MachineSpec, build_machine, use_cpus
from hvolab.machine.cpus.bulk import is_bulk
from tests.machines import x86_64
from tests.primitive_cpu import PRIMITIVES, primitive_cpu


def test_a_cpu_needs_fourteen_operations() -> None:
    assert len(PRIMITIVES) == 14
    assert {"load_word", "write_entry", "flush_range"} < PRIMITIVES
    assert not any(name.endswith("s") and name != "cached_translations" for name in PRIMITIVES), "a bulk operation"


def test_cpus_are_replaced_in_place() -> None:
    machine = build_machine(x86_64(), MachineSpec(memory=64 << 20, cpus=2))
    cpus: list[Cpu] = machine.cpus
    use_cpus(machine, primitive_cpu)
    assert machine.cpus is cpus
    assert [cpu.index for cpu in cpus] == [0, 1]
    assert not any(map(is_bulk, cpus))
    with pytest.raises(AttributeError):
        cpus[0].load_words  # type: ignore[attr-defined]  # noqa: B018 - it must not be there
