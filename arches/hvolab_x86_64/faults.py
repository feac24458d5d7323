"""How x86_64 reports a page fault. Intel SDM 3A, section 5.7; arch/x86/include/asm/trap_pf.h, v6.12."""

from __future__ import annotations

from hvolab.arch import Access, FaultKind, FieldValues, values

_PROT, _WRITE, _RSVD, _INSTR = 1 << 0, 1 << 1, 1 << 3, 1 << 4
_PAGE_FAULT_VECTOR = 14


def syndrome(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """Vector, error code and CR2 of a supervisor access that faulted."""
    del depth  # the error code does not tell the level
    code = 0
    if kind in {FaultKind.PERMISSION, FaultKind.RESERVED}:
        code |= _PROT
    if kind is FaultKind.RESERVED:
        code |= _RSVD
    if access & Access.WRITE:
        code |= _WRITE
    if access & Access.EXECUTE:
        code |= _INSTR
    return values(vector=_PAGE_FAULT_VECTOR, error_code=code, cr2=va)


def syndrome_without_nx(kind: FaultKind, access: Access, va: int, depth: int) -> FieldValues:
    """The same where neither EFER.NXE nor CR4.SMEP is set: the error code does not tell a fetch from a load."""
    return syndrome(kind, Access.READ if access & Access.EXECUTE else access, va, depth)
