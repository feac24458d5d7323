"""Which features a core's kernel used: what VMCOREINFO says, and what the entries of the vmemmap look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from hvolab.arch import Architecture, EntryKind, PagingMode, PgprotRole, Target
from hvolab.errors import UsageError
from hvolab.machine import PageTables, PhysicalMemory

from .kernels import row_for
from .vmcoreinfo import VmcoreInfo
from .walk import Walk, walk_tables

Select = Callable[[tuple[str, ...]], Target]


def features_of(
    info: VmcoreInfo | None,
    architecture: Architecture,
    mode: PagingMode,
    memory: PhysicalMemory,
    root: int,
    region: tuple[int, int],
    select: Select,
    given: tuple[str, ...],
) -> tuple[str, ...]:
    """The features: those ``given``, or those that the core tells.

    A feature that only changes protections (PTI: no Global) is found in the leaves of the vmemmap: of the sets of
    features the smallest that explains most of them.
    Raises UsageError for a number of VMCOREINFO that a feature is not described for.
    """
    if given:
        return given
    said = tuple(_said(info, architecture))
    walk = walk_tables(PageTables(memory, select(said), root), *region)
    seen = _protections(walk)
    if not seen:
        return said
    optional = [
        feature.name
        for feature in architecture.features
        if not feature.adds and feature.name not in said and mode.name in (feature.modes or (mode.name,))
    ]
    sets = (said + more for count in range(len(optional) + 1) for more in combinations(optional, count))
    return max(sets, key=lambda features: _explained(select(features), seen))


def _said(info: VmcoreInfo | None, architecture: Architecture) -> Iterator[str]:
    """The features whose number in VMCOREINFO is not 0."""
    row = row_for(architecture.elf_machine)
    declared = {feature.name: feature for feature in architecture.features}
    for name, number in () if row is None else row.features:
        value = 0 if info is None else info.number(number) or 0
        if not value or name not in declared:
            continue
        mask = 0
        for field in declared[name].adds:
            mask |= field.mask
        if mask != value:
            raise UsageError(
                f"the kernel's {number} is {value:#x}, {architecture.name} describes {name} as {mask:#x}",
                rule=f"NUMBER({number}) of VMCOREINFO",
                remedy="say --feature with what to take instead; entries may not decode",
            )
        yield name


def _protections(walk: Walk) -> dict[tuple[str, int], int]:
    """How often each protection occurs in leaves: by level and the bits that are not address."""
    seen: dict[tuple[str, int], int] = {}
    for tables in walk.levels:
        raws = tables.raws[tables.leaf]
        if raws.size:
            form = walk.target.mode.format.form(tables.level.name, EntryKind.LEAF)
            values, counts = np.unique(raws & ~np.uint64(form.address_mask), return_counts=True)
            seen.update({(tables.level.name, int(value)): int(n) for value, n in zip(values, counts, strict=True)})
    return seen


def _explained(target: Target, seen: dict[tuple[str, int], int]) -> int:
    """How many leaves have a protection that the kernel gives the vmemmap on ``target``."""
    last = target.mode.last.name
    total = 0
    for (level, bits), count in seen.items():
        roles = (PgprotRole.KERNEL, PgprotRole.KERNEL_RO) if level == last else (PgprotRole.KERNEL_LARGE,)
        total += count if any(bits == target.bits(level, role) for role in roles) else 0
    return total
