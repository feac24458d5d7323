# SPDX-License-Identifier: GPL-2.0-only
"""Registers of a page fault on x86_64. Intel SDM 3A, section 5.7; arch/x86/include/asm/trap_pf.h, v6.12."""

from __future__ import annotations

from hvolab.arch import Access, FaultKind, FieldValues

_PROT, _WRITE, _RSVD, _INSTR = 1 << 0, 1 << 1, 1 << 3, 1 << 4
_PAGE_FAULT_VECTOR = 14
_WRITES, _FETCHES = Access.WRITE.value, Access.EXECUTE.value


def syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return vector, error code and CR2 of a supervisor access that faulted."""
    del depth  # the error code does not have the level
    bits = access.value  # a plain int: tests cause millions of faults, and operations on an enum are slow
    code = _WRITE if bits & _WRITES else _INSTR if bits & _FETCHES else 0
    if kind is FaultKind.PERMISSION:
        code |= _PROT
    elif kind is FaultKind.RESERVED:
        code |= _PROT | _RSVD
    return (("vector", _PAGE_FAULT_VECTOR), ("error_code", code), ("cr2", va))


def syndrome_without_nx(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Return the same without EFER.NXE and CR4.SMEP: the error code of a fetch is that of a load."""
    return syndrome(kind, Access.READ if access & Access.EXECUTE else access, va, depth)
