# SPDX-License-Identifier: GPL-2.0-only
"""The record of a fault: what a reader is told of it."""

from __future__ import annotations

from hvolab.arch import Access, Fault, FaultKind, PageFault, values


def test_a_fault_tells_access_va_level_entry_and_registers() -> None:
    fault = Fault(FaultKind.PERMISSION, Access.WRITE, 0xFFFF1000, "last", 0x25, 3, values(vector=14, code=3))
    error = PageFault(fault)
    assert error.fault is fault
    assert error.where == "CPU 3"
    assert str(error) == (
        "permission fault: write at VA 0xffff1000, level last, entry 0x0000000000000025 (vector=0xe code=0x3); "
        "where: CPU 3"
    )


def test_a_compare_and_swap_reads_and_writes() -> None:
    assert Access.ATOMIC == Access.READ | Access.WRITE
    told = str(Fault(FaultKind.TRANSLATION, Access.ATOMIC, 0, "last", 0))
    assert told.startswith("translation fault: atomic at VA 0x0")
    assert "(" not in told
