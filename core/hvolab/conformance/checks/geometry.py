# SPDX-License-Identifier: GPL-2.0-only
"""Geometry: levels tile the VA, tables fill pages, bases are VAs of the kernel, and sizes of huge pages fit levels."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hvolab.arch import EntryKind
from hvolab.conformance.capabilities import DIRECT_MAP_SIZE, RUNS, SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import forms_at, kernel_ranges, vmemmap_sizes
from hvolab.conformance.samples import repeatable
from hvolab.conformance.subject import Scope, Subject
from hvolab.release import DEFAULT

checks = Checks()
_NAMES = ("pgd", "p4d", "pud", "pmd", "pte")


@checks.add(Scope.MODE)
def levels_tile_the_va(subject: Subject) -> None:
    """The levels index every bit of a VA once, from the page's offset up to the VA's width."""
    mode = subject.mode
    expected = mode.page_shift
    for level in reversed(mode.levels):
        require(level.shift == expected, f"{level.name} has shift {level.shift}, not {expected}")
        expected += level.bits
    require(expected == mode.va_bits, f"the levels index {expected} bits of a VA of {mode.va_bits}")

    @repeatable
    @given(st.integers(0, (1 << mode.va_bits) - 1))
    @example((1 << mode.va_bits) - 1)
    def every_va_is_the_sum_of_its_indexes(va: int) -> None:
        offset = va & (mode.page_size - 1)
        rebuilt = sum(level.index(va) << level.shift for level in mode.levels) + offset
        indexes = ", ".join(f"{level.name} {level.index(va):#x}" for level in mode.levels)
        require(rebuilt == va, f"VA {va:#x} has the indexes {indexes}, which are {rebuilt:#x}")

    every_va_is_the_sum_of_its_indexes()


@checks.add(Scope.MODE)
def levels_have_the_kernels_names(subject: Subject) -> None:
    """From the root to the last level the names are the kernel's: pgd, p4d, pud, pmd, pte, some left out."""
    names = [level.name for level in subject.mode.levels]
    ordered = [name for name in _NAMES if name in names]
    require(
        names == ordered and names[-1] == _NAMES[-1],
        f"the levels are named {' '.join(names)}",
        hint=f"name them in the order {' '.join(_NAMES)}, leaving out those that are folded",
    )


@checks.add(Scope.MODE)
def tables_fill_pages(subject: Subject) -> None:
    """A table below the root fills one page, or is declared to be of another size."""
    mode = subject.mode
    for level in mode.levels:
        small_root = level is mode.levels[0] and level.table_bytes < mode.page_size
        require(
            level.table_bytes == mode.page_size or small_root or not level.fills_page,
            f"a table of {level.name} has {level.entries} entries, {level.table_bytes:#x} bytes of a page "
            f"of {mode.page_size:#x}",
            hint="correct Level.bits; for tables that are a fraction of a page, or several, declare fills_page=False, "
            "and the low address bits of the table entries above if a table may begin inside a page",
        )


@checks.add(Scope.MODE)
def every_level_has_its_forms(subject: Subject) -> None:
    """The last level has leaves and no tables, every other level can point to tables, none has two tables."""
    mode = subject.mode
    for level in mode.levels:
        kinds = [form.kind for form in forms_at(mode, level.name)]
        last = level is mode.last
        tables = kinds.count(EntryKind.TABLE)
        require(tables == (0 if last else 1), f"an entry at {level.name} has {tables} forms of a table")
        require(not last or EntryKind.LEAF in kinds, f"an entry at {level.name} cannot be a leaf")


@checks.add(Scope.MODE)
def bases_are_canonical(subject: Subject) -> None:
    """The direct map and the vmemmap begin at a page of the kernel's part of the VA space."""
    mode = subject.mode
    for title, base in (("direct map", mode.direct_map_base), ("vmemmap", mode.vmemmap_base)):
        what, rule, hint = mode.misplaced(f"base of the {title}", base)
        require(mode.canonical(base), f"{what}: {rule}", hint=hint)
        require(base % mode.page_size == 0, f"the {title} begins at {base:#x}, inside a page")


@checks.add(Scope.MODE)
def the_vmemmap_begins_with_a_leaf(subject: Subject) -> None:
    """The vmemmap begins where one of the leaves begins that map it at boot."""
    mode = subject.mode
    size = mode.level(mode.vmemmap_level).size
    require(
        mode.vmemmap_base % size == 0,
        f"the vmemmap begins at {mode.vmemmap_base:#x}, {mode.vmemmap_base % size:#x} bytes into a leaf of "
        f"{mode.vmemmap_level}, which maps {size:#x} bytes",
        hint="correct PagingMode.vmemmap_base, or the level with which the kernel maps it, vmemmap_level",
    )


@checks.add(Scope.MODE, DIRECT_MAP_SIZE)
def direct_map_and_vmemmap_are_apart(subject: Subject) -> None:
    """The direct map of the most RAM that there can be, and its vmemmap, fit and do not overlap."""
    mode = subject.mode
    ranges = kernel_ranges(mode)
    for title, _, end in ranges:
        what, rule, hint = mode.misplaced(f"end of the {title} of {mode.direct_map_size:#x} bytes of RAM", end)
        require(mode.canonical(end - 1), f"{what}: {rule}", hint=f"correct direct_map_size; {hint}")
    (_, low, low_end), (_, high, _) = sorted(ranges, key=lambda part: part[1])
    what = f"the direct map and the vmemmap overlap: one is [{low:#x}, {low_end:#x}), the other begins at {high:#x}"
    require(low_end <= high, what, hint="correct the bases, or direct_map_size")


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
        whole = huge.size // mode.page_size * DEFAULT.struct_page.size
        saved = max(0, whole // mode.page_size - 1)
        require(
            (sizes.size, sizes.saved_pages) == (whole, saved),
            f"{huge.size:#x} bytes have {sizes.size:#x} bytes of vmemmap and save {sizes.saved_pages} frames, "
            f"not {whole:#x} and {saved}",
        )
    middle, mapped = mode.levels[-2], mode.last.entries * mode.page_size
    what = f"a leaf of {middle.name} maps {middle.size:#x} bytes, a table of {mode.last.name} {mapped:#x}"
    require(middle.size == mapped, what)
