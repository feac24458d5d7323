"""From the registers that report a fault to the record of it."""

from __future__ import annotations

from collections.abc import Sequence

from hvolab.arch import Access, Fault, FaultKind
from hvolab.arch.fields import FieldValues
from hvolab.errors import AbsentMemoryError
from hvolab.machine import PageTables, WalkPermissions

_KINDS = (FaultKind.TRANSLATION, FaultKind.PERMISSION, FaultKind.RESERVED, FaultKind.ACCESS_FLAG, FaultKind.DIRTY_FLAG)


class FaultRecords:
    """Makes the records of the faults that one emulated CPU reports.

    Kind and access are read off the syndrome, as far as it tells them; where several kinds read the same, and for the
    entry, the tables are walked as a kernel's fault handler walks them.
    """

    def __init__(self, tables: PageTables, cpu: int) -> None:
        self._tables = tables
        self._cpu = cpu
        self._verdicts = WalkPermissions(tables.target)
        self._syndrome = tables.target.mmu.syndrome
        self._levels = [level.name for level in tables.target.mode.levels]
        self._last = len(self._levels) - 1

    def of(self, accesses: Sequence[Access], va: int, syndrome: FieldValues) -> Fault:
        """The record of one fault.

        accesses  what the step may have tried, the first one that the syndrome agrees with is told
        syndrome  what the CPU reports
        """
        depth, raw, judged = self._walk(va, accesses[0])
        below, told = self._last - depth, dict(syndrome).items()
        for access in accesses:
            for kind in (judged, *_KINDS):
                if told >= dict(self._syndrome(kind, access, va, below)).items():
                    return Fault(kind, access, va, self._levels[depth], raw, self._cpu, syndrome)
        return Fault(judged, accesses[0], va, self._levels[depth], raw, self._cpu, syndrome)

    def _walk(self, va: int, access: Access) -> tuple[int, int, FaultKind]:
        """Depth at which the walk for ``va`` ends, the entry there, and why it should refuse the access."""
        seen: list[int] = []
        try:
            depth, _, raw = self._tables.descend(va, seen)
        except AbsentMemoryError:
            # a table that lies where there is no memory: to the emulator it is full of entries that are not valid
            return len(seen) - 1, seen[-1], FaultKind.TRANSLATION
        # an access that the tables allow now was refused by what the CPU had cached
        return depth, raw, self._verdicts.of(depth, raw, seen).fault(access.value) or FaultKind.PERMISSION
