# SPDX-License-Identifier: GPL-2.0-only
"""Algebra of entries that the kernel changes, under its names: flags made and dropped, leaves split and merged.

The patterns that an architecture declares for the MMU determine how it makes an entry writable, young or dirty.
Kernel: pte_basic_tests(), pmd_basic_tests(), pmd_leaf_tests() and others in mm/debug_vm_pgtable.c, v6.12.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hvolab.arch import EntryKind, Match, PgprotRole, Target
from hvolab.conformance.capabilities import ACCESSED, DIRTY, LEAF_ABOVE_LAST, SOUND, WRITE_PERMISSION
from hvolab.conformance.check import Capability, Checks, require
from hvolab.conformance.queries import bits_of, broken, kernel_leaves, large_leaf_levels
from hvolab.conformance.subject import Scope, Subject

checks = Checks()
#: Names of the three properties, and of what makes and drops each.
_NAMES = (("write", "mkwrite", "wrprotect"), ("dirty", "mkdirty", "mkclean"), ("young", "mkyoung", "mkold"))


@dataclass(frozen=True)
class Flag:
    """A property of a leaf, with the kernel's names: `pte_write`, `pte_mkwrite`, `pte_wrprotect`."""

    test: str
    make: str
    drop: str
    pattern: Match

    def holds(self, raw: int) -> bool:
        """Return True if `raw` has the property."""
        return bool(self.pattern.accepts(raw))

    def made(self, raw: int) -> int:
        """Return `raw` with the property."""
        return raw & ~self.pattern.mask | self.pattern.value

    def dropped(self, raw: int) -> int:
        """Return `raw` without the property."""
        return broken(self.pattern, raw)


def _flags(target: Target) -> list[Flag]:
    """Return the properties for which the architecture declares a pattern."""
    patterns = (target.mmu.write.leaf, target.mmu.dirty, target.mmu.accessed)
    named = zip(_NAMES, patterns, strict=True)
    return [Flag(*names, pattern) for names, pattern in named if pattern is not None]


def _entries(target: Target) -> Iterator[tuple[str, str, int]]:
    """Yield prefix of the kernel's names, level and entry of the leaves that HVO stores or replaces."""
    prefixes = {target.mode.last.name: "pte", target.mode.levels[-2].name: "pmd"}
    for level, _, raw in kernel_leaves(target):
        yield prefixes.get(level, "pud"), level, raw


def _undo_each_other(flag: Flag, target: Target, prefix: str, level: str, raw: int) -> None:
    """Require that made is set, dropped is clear, and both keep the kind and the address of an entry."""
    before = target.decode(level, raw)
    for holds, after, formula in (
        (True, flag.made(flag.dropped(raw)), "{0}_{1}({0}_{2}({0}_{3}(e)))"),
        (False, flag.dropped(flag.made(raw)), "!{0}_{1}({0}_{3}({0}_{2}(e)))"),
    ):
        rule = formula.format(prefix, flag.test, flag.make, flag.drop)
        what = f"{rule} does not hold for e = {target.describe(level, raw)}: the result is {after:#x}"
        require(flag.holds(after) is holds, what)
        entry = target.decode(level, after)
        same = (entry.kind, entry.pfn) == (before.kind, before.pfn)
        require(same, f"{rule} turned {before} into {entry}")


def _add(prefix: str, make: str, drop: str, need: Capability) -> None:
    """Add the check of one flag, in entries of pages or in larger leaves."""
    large = prefix == "pmd"

    def proof(subject: Subject) -> None:
        target = subject.target
        for name, level, raw in _entries(target):
            if (name != "pte") is large:
                (flag,) = (flag for flag in _flags(target) if flag.make == make)
                _undo_each_other(flag, target, name, level, raw)

    entries = "a leaf above the last level" if large else "a page's entry"
    proof.__name__ = f"{prefix}_{make}_and_{prefix}_{drop}"
    proof.__doc__ = f"{prefix}_{make}() and {prefix}_{drop}() undo each other in {entries}, and keep its address."
    checks.add(Scope.TARGET, *((SOUND, LEAF_ABOVE_LAST, need) if large else (SOUND, need)))(proof)


for _prefix in ("pte", "pmd"):
    for (_, _make, _drop), _need in zip(_NAMES, (WRITE_PERMISSION, DIRTY, ACCESSED), strict=True):
        _add(_prefix, _make, _drop, _need)


@checks.add(Scope.TARGET, SOUND)
def write_dirty_and_young_are_apart(subject: Subject) -> None:
    """Making or dropping one of write, dirty and young does not change the other two.

    Kernel: pte_basic_tests() demands of pte_wrprotect() that it keeps the result of pte_mkdirty() and pte_mkclean().
    """
    target = subject.target
    flags = _flags(target)
    for prefix, level, raw in _entries(target):
        for state in _states(flags, raw):
            for flag in flags:
                for name, after in ((flag.make, flag.made(state)), (flag.drop, flag.dropped(state))):
                    changed = [other.test for other in flags if other.holds(after) is not other.holds(state)]
                    require(
                        set(changed) <= {flag.test},
                        f"{prefix}_{name}() changes {' and '.join(changed)} of {target.describe(level, state)}",
                        hint="declare patterns of write, dirty and accessed that share no bits",
                    )


def _states(flags: list[Flag], raw: int) -> list[int]:
    """Return `raw` with every combination of the flags."""
    states = [raw]
    for flag in flags:
        states = [change(state) for state in states for change in (flag.made, flag.dropped)]
    return states


@checks.add(Scope.TARGET, SOUND)
def leaf_and_table_predicates(subject: Subject) -> None:
    """pmd_leaf(), pmd_bad() and pmd_none() distinguish leaves, tables and empty entries, whatever their flags are.

    Kernel: pmd_leaf_tests(), pmd_populate_tests(), pmd_clear_tests() in mm/debug_vm_pgtable.c, v6.12.
    """
    target = subject.target
    entry_format = target.mode.format
    entries: list[tuple[str, int, EntryKind]] = []
    for level in target.mode.levels[:-1]:
        entries.append((level.name, target.table(level.name, 1), EntryKind.TABLE))
        entries.append((level.name, entry_format.empty(level.name), EntryKind.NONE))
    for _, name, raw in _entries(target):
        entries += [(name, state, EntryKind.LEAF) for state in _states(_flags(target), raw)]
    predicates = {EntryKind.TABLE: "leaf() or _bad", EntryKind.NONE: "none", EntryKind.LEAF: "leaf"}
    for name, raw, expected in entries:
        kind = entry_format.classify(name, raw)
        what = f"{name}_{predicates[expected]}(): {raw:#x} is classified as {kind.value}, not {expected.value}"
        require(kind is expected, what)


@checks.add(Scope.TARGET, SOUND, LEAF_ABOVE_LAST)
def a_split_and_its_merge_keep_every_translation(subject: Subject) -> None:
    """The pages of a split leaf map, one by one, what the leaf mapped; merged again they are the same leaf."""
    target = subject.target
    mode = target.mode
    middle = mode.levels[-2]
    if middle.name not in large_leaf_levels(target):
        return
    form = mode.format.form(middle.name, EntryKind.LEAF)
    pages = middle.size // mode.page_size
    for head in (0, pages, form.physical_mask >> mode.page_shift):
        leaf = target.leaf(middle.name, head, PgprotRole.KERNEL_LARGE)
        entries = target.page_entries(np.arange(head, head + pages, dtype=np.int64), PgprotRole.KERNEL)
        frames, pa = target.page_frames(entries), form.get_address(leaf)
        for number in range(pages):
            va = number << mode.page_shift
            before = pa + (va & (middle.size - 1))
            after = int(frames[mode.last.index(va)]) << mode.page_shift
            require(after == before, f"page {number} of a split leaf maps PA {after:#x}, not {before:#x}")
        require(np.array_equal(np.diff(frames), np.ones(pages - 1)), "the pages are not consecutive")
        merged = target.leaf(middle.name, int(frames[0]), PgprotRole.KERNEL_LARGE)
        require(merged == leaf, f"{leaf:#x} was split, and is merged to {merged:#x}")


@checks.add(Scope.TARGET, SOUND, LEAF_ABOVE_LAST)
def a_split_drops_what_marks_a_large_leaf(subject: Subject) -> None:
    """No page's entry has the bit that marks a leaf above the last level: at the last level it has another meaning."""
    target = subject.target
    mark = _size_mark(target)
    for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        kept = target.bits(target.mode.last.name, role) & mark
        what = f"{role.value} has bits {kept:#x}, which mark a leaf above the last level"
        require(not kept, what, hint="leave them out of the pgprots of pages")


def _size_mark(target: Target) -> int:
    """Return the bits that distinguish a leaf above the last level from a table, and that no page needs."""
    entry_format = target.mode.format
    page_form = entry_format.form(target.mode.last.name, EntryKind.LEAF)
    mark = 0
    for name in large_leaf_levels(target):
        leaf = entry_format.form(name, EntryKind.LEAF)
        (table,) = entry_format.form(name, EntryKind.TABLE).recognize
        # a field that a large leaf has in another place made room for the mark, and in a page it is the field's own
        moved = 0
        for field in page_form.fields:
            if field.name in leaf.by_name and leaf.by_name[field.name].low != field.low:
                moved |= field.mask
        for match in leaf.recognize:
            mark |= match.value & ~table.value & ~bits_of(page_form.recognize) & ~moved
    return mark


@checks.add(Scope.TARGET, SOUND)
def vmemmap_entries_are_not_marked_as_a_run(subject: Subject) -> None:
    """Entries that HVO replaces one by one have neither contiguous hint nor NAPOT: they do not belong to neighbors."""
    for role, pgprot in subject.target.pgprots:
        kept = [name for name, value in pgprot.fields if value and name in subject.architecture.run_fields]
        what = f"{role.value} sets {', '.join(kept)}, which marks the entry as one of a run"
        require(not kept, what, hint="leave it out of the pgprots that HVO stores")
