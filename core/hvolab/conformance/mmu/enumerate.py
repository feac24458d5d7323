# SPDX-License-Identifier: GPL-2.0-only
"""Enumeration of entries: every combination of the bits that decide, with each other bit by itself.

A bit decides if the description looks at it: for validity and form of an entry, a permission, a flag. All combinations
of these are tried, each also with every other bit of the entry set alone that is not an address bit: reserved, ignored
and software bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import or_

from hvolab.arch import Access, EntryKind, PgprotRole, Target, set_bits
from hvolab.conformance.mmu.lab import Lab
from hvolab.conformance.queries import bits_of, forms_at, kind_mask, mmu_patterns

ACCESSES = (Access.READ, Access.WRITE, Access.EXECUTE, Access.ATOMIC)


@dataclass(frozen=True)
class AccessCase:
    """One combination of entries.

    depth    level of the varied entry, counted from the root
    entries  the entry of each level from the root on, the varied one among them
    """

    depth: int
    entries: tuple[int, ...]

    @property
    def raw(self) -> int:
        """The varied entry."""
        return self.entries[self.depth]


def cases(lab: Lab, *, every_bit: bool = True) -> Iterator[AccessCase]:
    """Yield every combination for the lab's target: the entry of one level varied, the others as a kernel has them.

    every_bit  True: try each bit that does not decide as well, set by itself
    """
    target = lab.target
    present = [lab.machine.memory.read_entry(slot) for slot in lab.slots]
    tables = [
        target.table(level.name, lab.tables[depth + 1]) if depth >= lab.first else present[depth]
        for depth, level in enumerate(target.mode.levels[:-1])
    ]
    leaves = _kernel_leaves(lab)
    for depth, level in enumerate(target.mode.levels):
        if depth < lab.first:
            continue
        last = depth == len(target.mode.levels) - 1
        for raw in _variants(lab, depth, every_bit=every_bit):
            kind = target.mode.format.classify(level.name, raw)
            for leaf in leaves if kind is EntryKind.TABLE and not last else leaves[:1]:
                below = () if last else (*tables[depth + 1 :], leaf)
                yield AccessCase(depth, (*tables[:depth], raw, *below))


def _kernel_leaves(lab: Lab) -> tuple[int, ...]:
    """Return entries of the last level below a varied table: one of each protection."""
    target = lab.target
    last = target.mode.last.name
    roles = (PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_EXEC)
    address = lab.leaf_address(len(target.mode.levels) - 1)
    return tuple(dict.fromkeys(address | target.bits(last, role) for role in roles))


def _variants(lab: Lab, depth: int, *, every_bit: bool) -> Iterator[int]:
    """Yield the entries to try at one level."""
    target = lab.target
    level, every = target.mode.levels[depth], (1 << target.mode.format.entry_bits) - 1
    kind_bits = kind_mask(target, level.name)
    for form in _combinations(kind_bits):
        kind = target.mode.format.classify(level.name, form)
        address_bits = _address_mask(target, level.name, kind)
        deciding = deciding_mask(target, kind) & ~(kind_bits | address_bits)
        others = every & ~(address_bits | kind_bits | deciding)
        for chosen in _combinations(deciding):
            base = form | chosen | _address(lab, depth, kind)
            yield base
            for bit in set_bits(others) if every_bit else ():
                yield base | 1 << bit


def _combinations(mask: int) -> Iterator[int]:
    """Yield every value that has no bits outside `mask`."""
    value = 0
    while True:
        yield value
        value = (value - mask) & mask
        if not value:
            return


def _address(lab: Lab, depth: int, kind: EntryKind) -> int:
    """Return the address bits of an entry of that kind: of the next table, or of the word."""
    if kind is EntryKind.TABLE or lab.target.mode.format.leaf_form(lab.target.mode.levels[depth].name) is None:
        return lab.table_address(depth)
    return lab.leaf_address(depth)


def _address_mask(target: Target, level: str, kind: EntryKind) -> int:
    """Return the address bits of such an entry."""
    forms = forms_at(target.mode, level)
    of_kind = [form for form in forms if form.kind is kind]
    return reduce(or_, (form.address_mask for form in of_kind or forms), 0)


def deciding_mask(target: Target, kind: EntryKind) -> int:
    """Return the bits of an entry of that kind that permissions, flags and rules look at."""
    if kind not in {EntryKind.LEAF, EntryKind.TABLE}:
        return 0
    return bits_of(pattern for _, pattern in mmu_patterns(target, kind))
