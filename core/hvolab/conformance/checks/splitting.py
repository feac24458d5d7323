"""Split of a leaf into pages, and the merge: every translation stays, and the mark of the size goes."""

from __future__ import annotations

import numpy as np

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.conformance.capabilities import LEAF_ABOVE_LAST, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import bits_of, large_leaf_levels
from hvolab.conformance.subject import Scope, Subject

checks = Checks()


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
