# SPDX-License-Identifier: GPL-2.0-only
"""Permission check of a page-table walk, from the architecture's description alone."""

from __future__ import annotations

from collections.abc import Container, Sequence
from operator import and_
from typing import NamedTuple

from hvolab.arch import Access, EntryForm, EntryKind, FaultKind, Target, UpdateRule

_WRITE = int(Access.WRITE)


class WalkPermission(NamedTuple):
    """Result of a walk.

    form          form of the leaf: the one that the entry matches, such as NAPOT; ``None``: none
    refused       kind of fault that every access gets; ``None``: there is a translation
    allowed       accesses that the entries allow, as bits of Access; 0 if every access faults
    settled       whether the accessed and the dirty flag are both set
    dirty_faults  whether an allowed store faults because software has to set the dirty flag
    """

    form: EntryForm | None
    refused: FaultKind | None
    allowed: int
    settled: bool
    dirty_faults: bool

    def fault(self, need: int) -> FaultKind | None:
        """Return the kind of fault of an access that needs ``need`` (bits of Access); ``None``: it succeeds."""
        if self.refused is not None:
            return self.refused
        if self.allowed & need != need:
            return FaultKind.PERMISSION
        return FaultKind.DIRTY_FLAG if self.dirty_faults and need & _WRITE else None


class WalkPermissions:
    """Permissions of walks of one target, computed once for each combination of deciding bits.

    deciding  by depth: the bits of an entry that decide what is allowed, all but the address
    known     permissions by the deciding bits of the last entry and of those before it
    """

    def __init__(self, target: Target) -> None:
        self.deciding = [_deciding_bits(target, level.name, set(EntryKind)) for level in target.mode.levels]
        self._deciding_tables = [_deciding_bits(target, level.name, {EntryKind.TABLE}) for level in target.mode.levels]
        self.known: dict[tuple[int, ...], WalkPermission] = {}
        self._mmu = target.mmu
        self._target = target
        self._format = target.mode.format
        self._levels = target.mode.levels

    def of(self, depth: int, raw: int, tables: Sequence[int]) -> WalkPermission:
        """Return the permissions of a walk that ends with ``raw`` at ``depth``, after the entries ``tables``."""
        key = (raw & self.deciding[depth], *map(and_, tables, self._deciding_tables))
        permission = self.known.get(key)
        if permission is None:
            permission = self.known[key] = self._compute(depth, raw, tuple(tables))
        return permission

    def _compute(self, depth: int, raw: int, tables: tuple[int, ...]) -> WalkPermission:
        mmu = self._mmu
        accessed = mmu.accessed is None or bool(mmu.accessed.accepts(raw))
        dirty = mmu.dirty is None or bool(mmu.dirty.accepts(raw))
        form = self._format.recognize(self._levels[depth].name, raw)
        refused = self._refused(depth, raw, tables)
        if refused is None and not accessed and mmu.accessed_by is UpdateRule.SOFTWARE:
            refused = FaultKind.ACCESS_FLAG  # checked before permissions
        dirty_faults = not dirty and mmu.dirty_by is UpdateRule.SOFTWARE
        allowed = 0 if refused is not None else int(self._target.allowed(raw, tables))  # an IntFlag is slow to test
        return WalkPermission(form, refused, allowed, accessed and dirty, dirty_faults)

    def _refused(self, depth: int, raw: int, tables: tuple[int, ...]) -> FaultKind | None:
        """Return the kind of fault that every access gets, accessed flag aside; ``None``: there is a translation."""
        kind = self._format.classify(self._levels[depth].name, raw)
        if kind is not EntryKind.LEAF:
            return FaultKind.TRANSLATION if kind is EntryKind.NONE else FaultKind.RESERVED
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
