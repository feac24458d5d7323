"""Which features a core's kernel used: what VMCOREINFO says, and what the entries of the vmemmap look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from hvolab.arch import Architecture, EntryKind, PagingMode, PgprotRole, Target
from hvolab.errors import UsageError
from hvolab.machine import PageTables
from hvolab_vmcore.core.kernels import KernelRow, row_for
from hvolab_vmcore.core.vmcoreinfo import VmcoreInfo
from hvolab_vmcore.core.walk import Walk, walk_tables

Select = Callable[[tuple[str, ...]], Target]


def told_features(info: VmcoreInfo | None, architecture: Architecture, mode: PagingMode) -> tuple[str, ...]:
    """The features that VMCOREINFO tells: by a number that is not 0, or by the widths of VA and PA.

    Raises UsageError for a number that a feature is not described for.
    """
    row = row_for(architecture.elf_machine)
    if info is None or row is None:
        return ()
    return (*_of_widths(info, row, architecture, mode), *_of_numbers(info, row, architecture))


def seen_features(
    architecture: Architecture,
    mode: PagingMode,
    tables: PageTables,
    region: tuple[int, int],
    select: Select,
    told: tuple[str, ...],
) -> tuple[str, ...]:
    """The features that are ``told``, and those that the entries of the vmemmap show.

    A feature that only changes protections (PTI: no Global) is found in the leaves of the vmemmap: of the sets of
    features the smallest that explains most of them.
    """
    seen = _protections(walk_tables(tables, *region))
    if not seen:
        return told
    optional = [
        feature.name
        for feature in architecture.features
        if not feature.adds
        and not feature.geometry
        and feature.name not in told
        and mode.name in (feature.modes or (mode.name,))
    ]
    sets = (told + more for count in range(len(optional) + 1) for more in combinations(optional, count))
    return max(sets, key=lambda features: _explained(select(features), seen))


def _of_widths(info: VmcoreInfo, row: KernelRow, architecture: Architecture, mode: PagingMode) -> Iterator[str]:
    """The features that make of the mode what the kernel runs with."""
    va_bits, pa_bits = row.va_in_use(info), info.number("MAX_PHYSMEM_BITS")
    for feature in architecture.features:
        if mode.name not in dict(feature.geometry):
            continue
        other = feature.applied(mode)
        # a kernel that runs with a smaller VA says nothing of the PA that it runs with
        told, said = (other.va_bits, va_bits) if other.va_bits != mode.va_bits else (other.pa_bits, pa_bits)
        if told == said:
            yield feature.name


def _of_numbers(info: VmcoreInfo, row: KernelRow, architecture: Architecture) -> Iterator[str]:
    """The features whose number in VMCOREINFO is not 0."""
    declared = {feature.name: feature for feature in architecture.features}
    for name, number in row.features:
        value = info.number(number) or 0
        if not value or name not in declared:
            continue
        mask = 0
        for field in declared[name].adds:
            mask |= field.mask
        if mask != value:
            raise UsageError(
                f"the kernel's {number} is {value:#x}, {architecture.name} describes {name} as {mask:#x}",
                rule=f"NUMBER({number}) of VMCOREINFO",
                hint="say --feature with what to take instead; entries may not decode",
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
