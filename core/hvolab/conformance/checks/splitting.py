"""A split of a leaf into pages, and the way back: every translation stays, and what marked the size goes."""

from __future__ import annotations

import numpy as np

from hvolab.arch import EntryKind, PgprotRole, Target
from hvolab.conformance.capabilities import LEAF_ABOVE_LAST, SOUND, leaf_levels
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject

checks = Checks()


@checks.add(Scope.TARGET, SOUND, LEAF_ABOVE_LAST)
def a_split_and_its_merge_keep_every_translation(subject: Subject) -> None:
    """The pages of a split leaf lead, one by one, where the leaf led; merged again they are the leaf that was."""
    target = subject.target
    mode = target.mode
    middle = mode.levels[-2]
    if middle.name not in leaf_levels(target):
        return
    form = mode.format.form(middle.name, EntryKind.LEAF)
    pages = middle.size // mode.page_size
    for head in (0, pages, form.physical_mask >> mode.page_shift):
        leaf = target.leaf(middle.name, head, PgprotRole.KERNEL_LARGE)
        entries = target.page_entries(np.arange(head, head + pages, dtype=np.int64), PgprotRole.KERNEL)
        frames = target.page_frames(entries)
        pa = form.get_address(leaf)
        for number in range(pages):
            va = number << mode.page_shift
            led = pa + (va & (middle.size - 1))
            leads = int(frames[mode.last.index(va)]) << mode.page_shift
            require(leads == led, f"page {number} of a split leaf leads to PA {leads:#x}, not {led:#x}", where=subject)
        require(np.array_equal(np.diff(frames), np.ones(pages - 1)), "the pages are not consecutive", where=subject)
        merged = target.leaf(middle.name, int(frames[0]), PgprotRole.KERNEL_LARGE)
        require(merged == leaf, f"{leaf:#x} was split, and is merged to {merged:#x}", where=subject)


@checks.add(Scope.TARGET, SOUND, LEAF_ABOVE_LAST)
def a_split_drops_what_marks_a_large_leaf(subject: Subject) -> None:
    """No page's entry has the bit by which a leaf above the last level is told: at the last level it means another."""
    target = subject.target
    mark = _size_mark(target)
    for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO):
        kept = target.bits(target.mode.last.name, role) & mark
        require(
            not kept,
            f"{role.value} has bits {kept:#x}, which mark a leaf above the last level",
            where=subject,
            hint="leave them out of the pgprots of pages",
        )


def _size_mark(target: Target) -> int:
    """The bits that are set in a leaf above the last level to tell it from a table, and that no page needs."""
    entry_format = target.mode.format
    page_form = entry_format.form(target.mode.last.name, EntryKind.LEAF)
    page = 0
    for match in page_form.recognize:
        page |= match.mask
    mark = 0
    for name in leaf_levels(target):
        leaf = entry_format.form(name, EntryKind.LEAF)
        (table,) = entry_format.form(name, EntryKind.TABLE).recognize
        # a field that a large leaf has in another place had to make room for the mark, and is a page's own there
        moved = 0
        for field in page_form.fields:
            if field.name in leaf.by_name and leaf.by_name[field.name].low != field.low:
                moved |= field.mask
        for match in leaf.recognize:
            mark |= match.value & ~table.value & ~page & ~moved
    return mark


@checks.add(Scope.TARGET, SOUND)
def no_entry_of_the_vmemmap_says_that_it_is_one_of_a_run(subject: Subject) -> None:
    """Entries that HVO replaces one by one have no contiguous hint and no NAPOT: their neighbors are not theirs."""
    target = subject.target
    for role, pgprot in target.pgprots:
        kept = [name for name, value in pgprot.fields if value and name in subject.architecture.run_fields]
        require(
            not kept,
            f"{role.value} sets {', '.join(kept)}, which says that the entry is one of a run",
            where=subject,
            hint="leave it out of what HVO stores",
        )
