"""Huge page sizes against the hstates that the kernel makes of them, and what HVO saves for each."""

from __future__ import annotations

from hvolab.conformance.capabilities import RUNS, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.subject import Scope, Subject
from hvolab.hvo import VmemmapSizes
from hvolab.machine import STRUCT_PAGE_V6_12

checks = Checks()
#: hugetlb_add_hstate() refuses an order in which the struct pages that it uses do not fit, v6.12: three of them.
_LEAST_ORDER = 2


@checks.add(Scope.FORMAT, SOUND)
def huge_page_sizes_can_be_mapped(subject: Subject) -> None:
    """Each huge page size is a power of two that its level can map, and hugetlb's default size is among them."""
    target = subject.target
    mode = target.mode
    sizes = [huge.size for huge in mode.huge_pages]
    require(sizes == sorted(set(sizes)), f"the sizes {in_hex(sizes)} are not ascending", where=subject)
    for huge in mode.huge_pages:
        level = mode.level(huge.level)
        position = mode.levels.index(level)
        above = level.size << level.bits if position else None
        what = f"{huge.count} entries of {huge.level}, {huge.size:#x} bytes,"
        require(huge.count > 0 and huge.size & (huge.size - 1) == 0, f"{what} are no power of two", where=subject)
        require(above is None or huge.size < above, f"{what} are what one entry above maps", where=subject)
        order = (huge.size >> mode.page_shift).bit_length() - 1
        require(order >= _LEAST_ORDER, f"{what} are too few pages for an hstate", where=subject)
    middle = mode.levels[-2]
    require(
        (middle.name, 1) in mode.huge_page_levels,
        f"no huge pages of {middle.size:#x} bytes, a leaf of {middle.name}: hugetlb's default size",
        where=subject,
    )


@checks.add(Scope.FORMAT, SOUND, RUNS)
def a_run_of_entries_has_a_field_that_says_so(subject: Subject) -> None:
    """Where several entries map one huge page, their leaf form has the field that tells the walker."""
    target, named = subject.target, subject.architecture.run_fields
    for level, count in target.mode.huge_page_levels:
        if count == 1:
            continue
        leaves = [form for form in target.mode.format.forms if form.kind.value == "leaf" and level in form.levels]
        fields = {field.name for form in leaves for field in form.fields}
        require(
            fields & set(named),
            f"{count} entries of {level} map one huge page, but no field of a leaf there says so",
            where=subject,
            hint=f"declare the field in Architecture.run_fields, which has {', '.join(named) or 'none'}",
        )


@checks.add(Scope.FORMAT, SOUND)
def savings_follow_the_formula(subject: Subject) -> None:
    """A huge page of n pages has n struct pages; HVO saves all their pages but one.

    Documentation/mm/vmemmap_dedup.rst: a PMD leaf has PTRS_PER_PTE * sizeof(struct page) bytes of them.
    """
    mode = subject.target.mode
    for huge in mode.huge_pages:
        entries = huge.size // mode.page_size
        sizes = VmemmapSizes(entries.bit_length() - 1, mode.page_size, STRUCT_PAGE_V6_12.size)
        whole = entries * STRUCT_PAGE_V6_12.size
        saved = max(0, whole // mode.page_size - 1)
        require(
            (sizes.size, sizes.saved_pages) == (whole, saved),
            f"{huge.size:#x} bytes have {sizes.size:#x} bytes of vmemmap and save {sizes.saved_pages} frames, "
            f"not {whole:#x} and {saved}",
            where=subject,
        )
    middle = mode.levels[-2]
    require(
        middle.size == mode.last.entries * mode.page_size,
        f"a leaf of {middle.name} maps {middle.size:#x} bytes, a table of {mode.last.name} "
        f"{mode.last.entries * mode.page_size:#x}",
        where=subject,
    )


def in_hex(numbers: list[int]) -> str:
    """Numbers in hex with commas between."""
    return ", ".join(f"{number:#x}" for number in numbers)
