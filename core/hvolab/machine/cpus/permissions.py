"""What the entries of a walk allow, by the description alone: one judgment for every kind of CPU."""

from __future__ import annotations

from collections.abc import Container, Sequence
from operator import and_
from typing import NamedTuple

from hvolab.arch import Access, EntryKind, FaultKind, Target, UpdateRule

_WRITE = int(Access.WRITE)


class WalkPermission(NamedTuple):
    """What a walk comes to.

    refused  why there is no translation, whatever the access; ``None``: there is one
    allowed  the accesses, as bits of Access, that the entries allow; 0 where all are refused
    settled  whether neither the accessed nor the dirty flag is left to set
    dirty_faults  whether a store that is allowed faults because software has to set the dirty flag
    """

    refused: FaultKind | None
    allowed: int
    settled: bool
    dirty_faults: bool

    def fault(self, need: int) -> FaultKind | None:
        """Why an access that needs ``need`` (bits of Access) is refused; ``None`` where it is not."""
        if self.refused is not None:
            return self.refused
        if self.allowed & need != need:
            return FaultKind.PERMISSION
        return FaultKind.DIRTY_FLAG if self.dirty_faults and need & _WRITE else None


class WalkPermissions:
    """Judges walks of one target, each combination of deciding bits once.

    deciding  by depth: the bits of an entry that decide what is allowed, all but the address
    known     verdicts by the deciding bits of the last entry and of those before it
    """

    def __init__(self, target: Target) -> None:
        self.deciding = [_deciding_bits(target, level.name, set(EntryKind)) for level in target.mode.levels]
        self._deciding_tables = [_deciding_bits(target, level.name, {EntryKind.TABLE}) for level in target.mode.levels]
        self.known: dict[tuple[int, ...], WalkPermission] = {}
        self._mmu = target.mmu
        self._target = target
        self._format = target.mode.format
        self._levels = target.mode.levels
        self._leaf_forms = [self._format.leaf_form(level.name) for level in self._levels]

    def of(self, depth: int, raw: int, tables: Sequence[int]) -> WalkPermission:
        """What a walk that ends with ``raw`` at ``depth`` comes to; ``tables`` are the entries before it."""
        key = (raw & self.deciding[depth], *map(and_, tables, self._deciding_tables))
        verdict = self.known.get(key)
        if verdict is None:
            verdict = self.known[key] = self._judge(depth, raw, tuple(tables))
        return verdict

    def _judge(self, depth: int, raw: int, tables: tuple[int, ...]) -> WalkPermission:
        mmu = self._mmu
        accessed = mmu.accessed is None or bool(mmu.accessed.accepts(raw))
        dirty = mmu.dirty is None or bool(mmu.dirty.accepts(raw))
        refused = self._refused(depth, raw, tables)
        if refused is None and not accessed and mmu.accessed_by is UpdateRule.SOFTWARE:
            refused = FaultKind.ACCESS_FLAG  # before permissions are looked at
        allowed = 0 if refused is not None else int(self._target.allowed(raw, tables))  # an IntFlag is slow to test
        return WalkPermission(refused, allowed, accessed and dirty, not dirty and mmu.dirty_by is UpdateRule.SOFTWARE)

    def _refused(self, depth: int, raw: int, tables: tuple[int, ...]) -> FaultKind | None:
        """Why there is no translation, flags aside."""
        if not self._format.is_valid(self._levels[depth].name, raw):
            return FaultKind.TRANSLATION
        form = self._leaf_forms[depth]
        if form is None or not form.matches(raw):
            return FaultKind.RESERVED
        walk = zip(self._levels, (*tables, raw), strict=False)
        if self._mmu.reserved_faults and any(self._format.broken_rules(level.name, entry) for level, entry in walk):
            return FaultKind.RESERVED
        return None


def _deciding_bits(target: Target, level: str, kinds: Container[EntryKind]) -> int:
    """Return the bits at ``level`` that are not address in every form of these kinds, and those of their rules."""
    bits = 0
    for form in target.mode.format.forms:
        if level in form.levels and form.kind in kinds:
            bits |= ~form.address_mask
            for rule in form.rules:
                bits |= rule.broken_by.mask
    return bits & ((1 << target.mode.format.entry_bits) - 1)
