# SPDX-License-Identifier: GPL-2.0-only
"""Queries of a description that several checks share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce
from operator import or_

from hvolab.arch import (
    Architecture,
    EntryForm,
    EntryKind,
    Example,
    Match,
    ModeFigures,
    PagingMode,
    Pgprot,
    PgprotRole,
    Target,
)
from hvolab.conformance.subject import Subject
from hvolab.hvo import VmemmapSizes
from hvolab.release import DEFAULT


def bits_of(patterns: Iterable[Match | None]) -> int:
    """Return the bits that any of the patterns looks at."""
    return reduce(or_, (pattern.mask for pattern in patterns if pattern is not None), 0)


def broken(pattern: Match | None, raw: int) -> int:
    """Return `raw` with every bit of the pattern wrong."""
    return raw if pattern is None else raw & ~pattern.mask | ~pattern.value & pattern.mask


def mmu_patterns(target: Target, kind: EntryKind) -> Iterator[tuple[str, Match | None]]:
    """Yield name and pattern of each permission and flag that the MMU reads in a leaf or a table entry."""
    mmu, leaf = target.mmu, kind is EntryKind.LEAF
    for name, whole in (("read", mmu.read), ("write", mmu.write), ("execute", mmu.execute)):
        for permission in (whole, *whole.alternatives):
            in_leaf, in_table = (permission.leaf, permission.privilege), (permission.tables, permission.some_table)
            yield from ((name, pattern) for pattern in (in_leaf if leaf else in_table))
    yield from [("accessed", mmu.accessed), ("dirty", mmu.dirty)] if leaf else [("accessed", mmu.table_accessed)]


# entries


def kind_mask(target: Target, level: str) -> int:
    """Return the bits that determine the kind of an entry at `level`."""
    recognized = (match for form in forms_at(target.mode, level) for match in form.recognize)
    return bits_of((*target.mode.format.valid_patterns(level), *recognized))


def forms_at(mode: PagingMode, level: str) -> list[EntryForm]:
    """Return the forms of entries at a level."""
    return [form for form in mode.format.forms if level in form.levels]


def large_leaf_levels(target: Target) -> list[str]:
    """Return the levels above the last that may hold leaves of PAGE_KERNEL_LARGE: the direct map's, from the top."""
    names = [level.name for level in target.mode.levels]
    first = names.index(target.mode.direct_map_level)
    return [name for name in names[first:-1] if target.mode.format.leaf_form(name) is not None]


def kernel_tables(target: Target) -> dict[str, int]:
    """Return by level, from the root on, the table entries that lead to a page, as the kernel makes them."""
    return {level.name: target.table(level.name, 0) for level in target.mode.levels[:-1]}


def kernel_leaves(target: Target) -> Iterator[tuple[str, PgprotRole, int]]:
    """Yield level, role and entry of the leaves that HVO stores or replaces: pages, then larger leaves."""
    last = target.mode.last.name
    uses = [(last, role) for role in (PgprotRole.KERNEL, PgprotRole.KERNEL_RO)]
    for level, role in (*uses, *((name, PgprotRole.KERNEL_LARGE) for name in large_leaf_levels(target))):
        yield level, role, target.leaf(level, 0, role)


def pgprot_of(target: Target, role: PgprotRole) -> Pgprot:
    """Return the resolved protection of a role."""
    return dict(target.pgprots)[role]


# reference values


def examples_of(subject: Subject) -> list[Example]:
    """Return the examples of entries whose mode has the same form of page entry as the subject's."""
    forms = {mode.name: mode.format.leaf_form(mode.last.name) for mode in subject.architecture.modes}
    own = subject.mode.format.leaf_form(subject.mode.last.name)
    return [known for known in subject.architecture.examples if known.mode in forms and forms[known.mode] == own]


#: Protections that HVO stores or replaces on every architecture.
PGPROTS_OF_HVO = frozenset({PgprotRole.KERNEL, PgprotRole.KERNEL_RO, PgprotRole.KERNEL_LARGE, PgprotRole.TABLE})


def unknown_pgprots(architecture: Architecture) -> list[str]:
    """Return the kernel's names of the protections of HVO that no example of an entry has."""
    unknown = PGPROTS_OF_HVO - {known.role for known in architecture.examples}
    return list(dict.fromkeys(pgprot.name for pgprot in architecture.pgprots if pgprot.role in unknown))


def examples_in_bytes(architecture: Architecture) -> list[tuple[Example, bytes]]:
    """Return the examples that are given as bytes, with them, where they are others if they are read backwards."""
    given = [(known, known.raw) for known in architecture.examples]
    return [(known, raw) for known, raw in given if isinstance(raw, bytes) and raw != raw[::-1]]


def figures_of(subject: Subject) -> list[ModeFigures]:
    """Return the figures that are known of the subject's mode."""
    return [known for known in subject.architecture.figures if known.mode == subject.mode_name]


# vmemmap


def vmemmap_sizes(mode: PagingMode, size: int) -> VmemmapSizes:
    """Return the sizes of the vmemmap of a huge page of `size` bytes."""
    return VmemmapSizes((size >> mode.page_shift).bit_length() - 1, mode.page_size, DEFAULT.struct_page.size)


def kernel_ranges(mode: PagingMode) -> tuple[tuple[str, int, int], ...]:
    """Return name, first VA and end of the direct map of as much RAM as there can be, and of its vmemmap."""
    vmemmap_bytes = (mode.direct_map_size >> mode.page_shift) * DEFAULT.struct_page.size
    return (
        ("direct map", mode.direct_map_base, mode.direct_map_base + mode.direct_map_size),
        ("vmemmap", mode.vmemmap_base, mode.vmemmap_base + vmemmap_bytes),
    )


def optimizable_sizes(target: Target) -> list[int]:
    """Return the huge page sizes that HVO can optimize, in bytes, ascending."""
    return [huge.size for huge in target.mode.huge_pages if vmemmap_sizes(target.mode, huge.size).optimizable]


def spanning_sizes(target: Target) -> list[int]:
    """Return those sizes whose vmemmap boot maps by leaves above the last level, several of them."""
    mode = target.mode
    if mode.vmemmap_level == mode.last.name:
        return []
    return [size for size in optimizable_sizes(target) if vmemmap_sizes(mode, size).size > mode.levels[-2].size]
