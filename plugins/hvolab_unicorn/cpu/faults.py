# SPDX-License-Identifier: GPL-2.0-only
"""Fault records, made from the registers that report a fault."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab.arch import Access, Fault, FaultKind, FieldValues
from hvolab.errors import AbsentMemoryError
from hvolab.machine import PageTables, WalkPermissions

_KINDS = (
    FaultKind.TRANSLATION,
    FaultKind.PERMISSION,
    FaultKind.RESERVED,
    FaultKind.ACCESS_FLAG,
    FaultKind.DIRTY_FLAG,
    FaultKind.ABSENT,
    FaultKind.ALIGNMENT,
)


class FaultRecords:
    """Records of the faults of one emulated CPU.

    Kind and access follow from the syndrome. Where several kinds have the same syndrome, and for the entry, the tables
    are walked as a kernel's fault handler walks them.
    """

    def __init__(self, tables: PageTables, cpu: int) -> None:
        self._tables = tables
        self._cpu = cpu
        self._permissions = WalkPermissions(tables.target)
        self._syndrome = tables.target.mmu.syndrome
        self._levels = [level.name for level in tables.target.mode.levels]
        self._last = len(self._levels) - 1

    def of(self, accesses: Sequence[Access], va: int, syndrome: FieldValues) -> Fault:
        """Return the record of one fault.

        accesses  accesses that the step makes; the record has the first with which the syndrome agrees
        syndrome  registers that the CPU reports
        """
        depth, raw, expected = self._walk(va, accesses[0])
        below, reported = self._last - depth, dict(syndrome).items()
        agreeing = (
            (kind, access)
            for access in accesses
            for kind in (expected, *_KINDS)
            if reported >= dict(self._syndrome(kind, access, va, below)).items()
        )
        kind, access = next(agreeing, (expected, accesses[0]))
        return Fault(kind, access, va, self._levels[depth], raw, self._cpu, syndrome)

    def _walk(self, va: int, access: Access) -> tuple[int, int, FaultKind]:
        """Return the depth at which the walk for `va` ends, the entry there, and the kind of fault that follows."""
        visited: list[int] = []
        try:
            depth, _, raw = self._tables.descend(va, visited)
        except AbsentMemoryError:
            # the emulator reads a table outside memory as entries that are not valid
            return len(visited) - 1, visited[-1], FaultKind.TRANSLATION
        # if the tables allow the access now, a cached translation did not
        return depth, raw, self._permissions.of(depth, raw, visited).fault(access.value) or FaultKind.PERMISSION
