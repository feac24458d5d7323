"""From the registers that report a fault to the record of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hvolab.arch import Access, EntryKind, Fault, FaultKind, Target
from hvolab.arch.fields import FieldValues
from hvolab.errors import AbsentMemoryError
from hvolab.machine import PageTables

_KINDS = (FaultKind.TRANSLATION, FaultKind.PERMISSION, FaultKind.RESERVED, FaultKind.ACCESS_FLAG, FaultKind.DIRTY_FLAG)


def fault_of(tables: PageTables, cpu: int, accesses: Iterable[Access], va: int, syndrome: FieldValues) -> Fault:
    """The record of a fault that an emulated CPU reports.

    accesses  what the step may have tried, the first one that the syndrome agrees with is told
    syndrome  what the CPU reports

    Kind and access are read off the syndrome, as far as it tells them; where several kinds read the same, and for the
    entry, the tables are walked as a kernel's fault handler walks them.
    """
    target, levels = tables.target, tables.target.mode.levels
    depth, raw, seen = _walk(tables, va)
    told = dict(syndrome)
    tried = tuple(accesses)
    judged = _judge(target, depth, raw, seen, tried[0])
    for access in tried:
        for kind in (judged, *_KINDS):
            expected = dict(target.mmu.syndrome(kind, access, va, len(levels) - 1 - depth))
            if _agree(expected, told):
                return Fault(kind, access, va, levels[depth].name, raw, cpu, syndrome)
    return Fault(judged, tried[0], va, levels[depth].name, raw, cpu, syndrome)


def _agree(expected: Mapping[str, int], told: Mapping[str, int]) -> bool:
    return all(told.get(name) == value for name, value in expected.items())


def _walk(tables: PageTables, va: int) -> tuple[int, int, list[int]]:
    """Depth at which the walk for ``va`` ends, the entry there, the table entries on the way."""
    seen: list[int] = []
    try:
        depth, _, raw = tables.descend(va, seen)
    except AbsentMemoryError:
        return len(seen) - 1, seen.pop(), seen
    return depth, raw, seen


def _judge(target: Target, depth: int, raw: int, seen: list[int], access: Access) -> FaultKind:
    """Why the walk refuses the access, from the description alone."""
    levels, entries = target.mode.levels, target.mode.format
    name = levels[depth].name
    if not entries.is_valid(name, raw) or entries.classify(name, raw) is EntryKind.TABLE:
        return FaultKind.TRANSLATION  # a table here is one that lies where there is no memory
    walk = zip(levels, (*seen, raw), strict=False)
    if any(entries.broken_rules(level.name, entry) for level, entry in walk):
        return FaultKind.RESERVED
    if target.allowed(raw, tuple(seen)) & access != access:
        return FaultKind.PERMISSION
    accessed = target.mmu.accessed
    if accessed is not None and not accessed.accepts(raw):
        return FaultKind.ACCESS_FLAG
    return FaultKind.PERMISSION
