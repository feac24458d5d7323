"""Geometry: levels tile the VA, tables fill pages, the direct map and the vmemmap are at VAs of the kernel."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from hvolab.conformance.capabilities import DIRECT_MAP_SIZE
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import kernel_ranges
from hvolab.conformance.samples import repeatable
from hvolab.conformance.subject import Scope, Subject

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
            hint="correct Level.bits; where tables are a fraction of a page, or several, declare fills_page=False",
        )


@checks.add(Scope.MODE)
def bases_are_canonical(subject: Subject) -> None:
    """The direct map and the vmemmap begin at a page of the kernel's part of the VA space."""
    mode = subject.mode
    for title, base in (("direct map", mode.direct_map_base), ("vmemmap", mode.vmemmap_base)):
        require(mode.canonical(base), f"the {title} begins at {base:#x}, not a kernel VA")
        require(base % mode.page_size == 0, f"the {title} begins at {base:#x}, inside a page")


@checks.add(Scope.MODE, DIRECT_MAP_SIZE)
def direct_map_and_vmemmap_are_apart(subject: Subject) -> None:
    """The direct map of the most RAM that there can be, and its vmemmap, fit and do not overlap."""
    mode = subject.mode
    ranges = kernel_ranges(mode)
    for title, _, end in ranges:
        require(
            end <= 1 << 64 and mode.canonical(end - 1),
            f"the {title} of {mode.direct_map_size:#x} bytes of RAM ends at {end:#x}, outside the kernel's VA",
        )
    (_, low, low_end), (_, high, _) = sorted(ranges, key=lambda part: part[1])
    require(
        low_end <= high,
        f"the direct map and the vmemmap overlap: one is [{low:#x}, {low_end:#x}), the other begins at {high:#x}",
        hint="correct the bases, or direct_map_size",
    )
