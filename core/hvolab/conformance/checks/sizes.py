"""Huge page sizes: the hstates that the kernel makes of them, and the frames that HVO saves for each."""

from __future__ import annotations

from hvolab.arch import EntryKind
from hvolab.conformance.capabilities import RUNS, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import forms_at, vmemmap_sizes
from hvolab.conformance.subject import Scope, Subject
from hvolab.machine import STRUCT_PAGE_V6_12

checks = Checks()
#: hugetlb_add_hstate() refuses an order without room for the three struct pages that it uses, v6.12.
_LEAST_ORDER = 2


@checks.add(Scope.FORMAT, SOUND)
def huge_page_sizes_can_be_mapped(subject: Subject) -> None:
    """Each huge page size is a power of two that its level can map, and hugetlb's default size is among them."""
    mode = subject.target.mode
    sizes = [huge.size for huge in mode.huge_pages]
    listed = ", ".join(f"{size:#x}" for size in sizes)
    require(sizes == sorted(set(sizes)), f"the sizes {listed} are not ascending")
    for huge in mode.huge_pages:
        level = mode.level(huge.level)
        above = level.size << level.bits if level is not mode.levels[0] else None
        what = f"{huge.count} entries of {huge.level}, {huge.size:#x} bytes,"
        require(huge.count > 0 and huge.size & (huge.size - 1) == 0, f"{what} are not a power of two")
        require(above is None or huge.size < above, f"{what} fill an entry of the level above")
        order = vmemmap_sizes(mode, huge.size).order
        require(order >= _LEAST_ORDER, f"{what} are too few pages for an hstate")
    middle = mode.levels[-2]
    what = f"no huge pages of {middle.size:#x} bytes, a leaf of {middle.name}: hugetlb's default size"
    require((middle.name, 1) in mode.huge_page_levels, what)


@checks.add(Scope.FORMAT, SOUND, RUNS)
def a_run_of_entries_has_a_field_that_marks_it(subject: Subject) -> None:
    """The leaf form of a huge page that several entries map has the field that marks them for the walker."""
    target, names = subject.target, subject.architecture.run_fields
    for level, count in target.mode.huge_page_levels:
        leaves = [form for form in forms_at(target.mode, level) if form.kind is EntryKind.LEAF]
        fields = {field.name for form in leaves for field in form.fields}
        require(
            count == 1 or fields & set(names),
            f"{count} entries of {level} map one huge page, but no field of a leaf there marks them",
            hint=f"declare the field in Architecture.run_fields, which has {', '.join(names) or 'none'}",
        )


@checks.add(Scope.FORMAT, SOUND)
def savings_follow_the_formula(subject: Subject) -> None:
    """A huge page of n pages has n struct pages; HVO saves all their pages but one.

    Documentation/mm/vmemmap_dedup.rst: a PMD leaf has PTRS_PER_PTE * sizeof(struct page) bytes of them.
    """
    mode = subject.target.mode
    for huge in mode.huge_pages:
        sizes = vmemmap_sizes(mode, huge.size)
        whole = huge.size // mode.page_size * STRUCT_PAGE_V6_12.size
        saved = max(0, whole // mode.page_size - 1)
        require(
            (sizes.size, sizes.saved_pages) == (whole, saved),
            f"{huge.size:#x} bytes have {sizes.size:#x} bytes of vmemmap and save {sizes.saved_pages} frames, "
            f"not {whole:#x} and {saved}",
        )
    middle, mapped = mode.levels[-2], mode.last.entries * mode.page_size
    what = f"a leaf of {middle.name} maps {middle.size:#x} bytes, a table of {mode.last.name} {mapped:#x}"
    require(middle.size == mapped, what)
