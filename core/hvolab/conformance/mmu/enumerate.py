"""Which entries and accesses are tried: every combination of what decides, with each other bit by itself.

A bit decides where the description looks at it: validity and form of an entry, a permission, a flag. All combinations
of these are tried, each with every other bit of the entry set alone that is no address bit: reserved ones, ignored
ones, those for software.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hvolab.arch import Access, EntryKind, Match, PgprotRole, Target, set_bits
from hvolab.conformance.mmu.lab import Lab

ACCESSES = (Access.READ, Access.WRITE, Access.EXECUTE, Access.ATOMIC)


@dataclass(frozen=True)
class AccessCase:
    """One combination of entries.

    depth    level at which ``raw`` stands, counted from the root
    entries  the entry of each level from the root on, ``raw`` among them
    """

    depth: int
    entries: tuple[int, ...]

    @property
    def raw(self) -> int:
        """The entry that is varied."""
        return self.entries[self.depth]


def cases(lab: Lab, *, every_bit: bool = True) -> Iterator[AccessCase]:
    """Every combination for the lab's target: entries of every level varied, those above and below it as usual.

    every_bit  whether each bit that does not decide is tried as well, set by itself
    """
    target = lab.target
    there = [lab.machine.memory.read_word(slot) for slot in lab.slots]
    ways = [
        target.table(level.name, lab.tables[depth + 1]) if depth >= lab.first else there[depth]
        for depth, level in enumerate(target.mode.levels[:-1])
    ]
    ends = _usual_leaves(lab)
    for depth, level in enumerate(target.mode.levels):
        if depth < lab.first:
            continue
        last = depth == len(target.mode.levels) - 1
        for raw in _variants(lab, depth, every_bit=every_bit):
            kind = target.mode.format.classify(level.name, raw)
            for end in ends if kind is EntryKind.TABLE and not last else ends[:1]:
                below = () if last else (*ways[depth + 1 :], end)
                yield AccessCase(depth, (*ways[:depth], raw, *below))


def _usual_leaves(lab: Lab) -> tuple[int, ...]:
    """Entries of the last level that end a walk through tables that are varied: one of each protection."""
    target = lab.target
    last = target.mode.last.name
    roles = (PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_EXEC)
    address = lab.leaf_address(len(target.mode.levels) - 1)
    return tuple(dict.fromkeys(address | target.bits(last, role) for role in roles))


def _variants(lab: Lab, depth: int, *, every_bit: bool) -> Iterator[int]:
    """The entries to try at one level."""
    target = lab.target
    level, every = target.mode.levels[depth], (1 << target.mode.format.entry_bits) - 1
    telling = telling_mask(target, level.name)
    for form in _combinations(telling):
        kind = target.mode.format.classify(level.name, form)
        address, deciding = _address(lab, depth, kind), deciding_mask(target, kind) & ~telling
        deciding &= ~_address_mask(target, level.name, kind)
        others = every & ~(_address_mask(target, level.name, kind) | telling | deciding)
        for chosen in _combinations(deciding):
            base = form | chosen | address
            yield base
            for bit in set_bits(others) if every_bit else ():
                yield base | 1 << bit


def _combinations(mask: int) -> Iterator[int]:
    """Every value that has no other bits than those of ``mask``."""
    value = 0
    while True:
        yield value
        value = (value - mask) & mask
        if not value:
            return


def _address(lab: Lab, depth: int, kind: EntryKind) -> int:
    """Where an entry of that kind leads: to the next table, or to the word."""
    if kind is EntryKind.TABLE:
        return lab.table_address(depth)
    if lab.target.mode.format.leaf_form(lab.target.mode.levels[depth].name) is None:
        return lab.table_address(depth)
    return lab.leaf_address(depth)


def _address_mask(target: Target, level: str, kind: EntryKind) -> int:
    """The bits that the address of such an entry stands in."""
    forms = [form for form in target.mode.format.forms if level in form.levels]
    of_kind = [form for form in forms if form.kind is kind]
    mask = 0
    for form in of_kind or forms:
        mask |= form.address_mask
    return mask


def telling_mask(target: Target, level: str) -> int:
    """The bits that tell what an entry at ``level`` is."""
    patterns = list(target.mode.format.valid_patterns(level))
    for form in target.mode.format.forms:
        if level in form.levels:
            patterns += form.recognize
    return _union(patterns)


def deciding_mask(target: Target, kind: EntryKind) -> int:
    """The bits of an entry of that kind that permissions, flags and rules look at."""
    mmu = target.mmu
    patterns: list[Match | None] = []
    for whole in (mmu.read, mmu.write, mmu.execute):
        for permission in (whole, *whole.alternatives):
            if kind is EntryKind.LEAF:
                patterns += [permission.leaf, permission.privilege]
            elif kind is EntryKind.TABLE:
                patterns += [permission.tables, permission.some_table]
    if kind is EntryKind.LEAF:
        patterns += [mmu.accessed, mmu.dirty]
    elif kind is EntryKind.TABLE:
        patterns.append(mmu.table_accessed)
    return _union(patterns)


def _union(patterns: Iterable[Match | None]) -> int:
    mask = 0
    for pattern in patterns:
        mask |= 0 if pattern is None else pattern.mask
    return mask
