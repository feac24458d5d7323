"""How x86_64 reports a page fault. Intel SDM 3A, section 5.7; arch/x86/include/asm/trap_pf.h, v6.12."""

from __future__ import annotations

from hvolab.arch import Access, FaultKind, FieldValues

_PROT, _WRITE, _RSVD, _INSTR = 1 << 0, 1 << 1, 1 << 3, 1 << 4
_PAGE_FAULT_VECTOR = 14
_WRITES, _FETCHES = Access.WRITE.value, Access.EXECUTE.value


def syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Vector, error code and CR2 of a supervisor access that faulted."""
    del depth  # the error code does not tell the level
    does = access.value  # a plain int: tests make millions of faults, and operations on an enum are slow
    code = _WRITE if does & _WRITES else _INSTR if does & _FETCHES else 0
    if kind is FaultKind.PERMISSION:
        code |= _PROT
    elif kind is FaultKind.RESERVED:
        code |= _PROT | _RSVD
    return (("vector", _PAGE_FAULT_VECTOR), ("error_code", code), ("cr2", va))


def syndrome_without_nx(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """The same where neither EFER.NXE nor CR4.SMEP is set: the error code does not tell a fetch from a load."""
    return syndrome(kind, Access.READ if access & Access.EXECUTE else access, va, depth)
