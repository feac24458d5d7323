# SPDX-License-Identifier: GPL-2.0-only
"""x86_64: how an access that the MMU refuses is reported: vector 14, the error code, CR2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hvolab.arch import Access, FaultKind, PageFault, PgprotRole
from hvolab.machine import Machine, MachineSpec, ModelCpu, build_machine
from hvolab_x86_64.description import X86_64
from tests.folios import allocator

RESERVED_IN_PMD_LEAF = 1 << 13
#: A VA that nothing is mapped at: above the RAM of the direct map.
UNMAPPED = 0xFFFF888100000000


def a_machine() -> Machine:
    return build_machine(X86_64.select(), MachineSpec(memory=64 << 20))


def page_with(machine: Machine, role: PgprotRole) -> int:
    """VA of a page mapped with that protection."""
    machine.tables.map_leaf(UNMAPPED, 0x100, "pte", role, lambda _: allocator(machine).reserve_any(1, 1, 0) << 12)
    return UNMAPPED


def large_leaf_with_a_reserved_bit(machine: Machine) -> int:
    va = machine.struct_pages.va(0)
    step = machine.tables.find(va)
    machine.memory.write_word(step.slot, step.raw | RESERVED_IN_PMD_LEAF)
    return va


Where = Callable[[Machine], int]
NOT_PRESENT: Where = lambda _: UNMAPPED  # noqa: E731 - one of several ways to a VA
READ_ONLY: Where = lambda machine: page_with(machine, PgprotRole.KERNEL_RO)  # noqa: E731
WRITABLE: Where = lambda machine: page_with(machine, PgprotRole.KERNEL)  # noqa: E731


@pytest.mark.parametrize(
    ("where", "access", "kind", "error_code"),
    [
        (READ_ONLY, Access.WRITE, FaultKind.PERMISSION, 0x3),
        (READ_ONLY, Access.ATOMIC, FaultKind.PERMISSION, 0x3),
        (NOT_PRESENT, Access.READ, FaultKind.TRANSLATION, 0x0),
        (NOT_PRESENT, Access.WRITE, FaultKind.TRANSLATION, 0x2),
        (NOT_PRESENT, Access.EXECUTE, FaultKind.TRANSLATION, 0x10),
        (WRITABLE, Access.EXECUTE, FaultKind.PERMISSION, 0x11),
        (large_leaf_with_a_reserved_bit, Access.READ, FaultKind.RESERVED, 0x9),
        (large_leaf_with_a_reserved_bit, Access.WRITE, FaultKind.RESERVED, 0xB),
    ],
    ids=[
        "store to a read-only page",
        "compare-and-swap on a read-only page",
        "load where nothing is mapped",
        "store where nothing is mapped",
        "fetch where nothing is mapped",
        "fetch from a page without execute",
        "load through a reserved bit",
        "store through a reserved bit",
    ],
)
def test_the_error_code_tells_why(where: Where, access: Access, kind: FaultKind, error_code: int) -> None:
    machine = a_machine()
    va = where(machine) + 0x18
    cpu = machine.cpus[0]
    assert isinstance(cpu, ModelCpu)
    with pytest.raises(PageFault) as caught:
        cpu.translate(va, int(access))
    fault = caught.value.fault
    assert (fault.kind, fault.va) == (kind, va)
    assert dict(fault.syndrome) == {"vector": 14, "error_code": error_code, "cr2": va}


def test_a_failing_compare_and_swap_on_a_read_only_page_faults_as_a_write() -> None:
    machine = a_machine()
    va = page_with(machine, PgprotRole.KERNEL_RO)
    with pytest.raises(PageFault) as caught:
        machine.cpus[0].compare_and_swap(va, old=0xBAD, new=1)
    assert dict(caught.value.fault.syndrome)["error_code"] == 0x3
    assert machine.cpus[0].load_word(va) == 0
