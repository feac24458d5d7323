# SPDX-License-Identifier: GPL-2.0-only
"""Features that a core's kernel uses, from its VMCOREINFO and from the entries of its vmemmap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import numpy as np

from hvolab.arch import Architecture, EntryKind, PagingMode, PgprotRole, Target
from hvolab.errors import UsageError
from hvolab.machine import PageTables
from hvolab_vmcore.core.kernels import VmcoreInfoKeys, keys_for
from hvolab_vmcore.core.walk import Walk, walk_tables
from hvolab_vmcore.files.vmcoreinfo import VmcoreInfo

Select = Callable[[tuple[str, ...]], Target]


def reported_features(info: VmcoreInfo | None, architecture: Architecture, mode: PagingMode) -> tuple[str, ...]:
    """Return the features that VMCOREINFO reports: by a number that is not 0, or by the widths of VA and PA.

    Raises UsageError for a number that the description of its feature does not have.
    """
    keys = keys_for(architecture.elf_machine)
    if info is None or keys is None:
        return ()
    return (*_by_widths(info, keys, architecture, mode), *_by_numbers(info, keys, architecture))


def detected_features(
    architecture: Architecture,
    mode: PagingMode,
    tables: PageTables,
    region: tuple[int, int],
    select: Select,
    reported: tuple[str, ...],
) -> tuple[str, ...]:
    """Return the ``reported`` features, and those that show in the entries of the vmemmap.

    A feature that only changes protections (PTI clears Global) shows in the leaves of the vmemmap. Of the sets of
    features that explain the most leaves, the smallest is returned.
    """
    counts = _protections(walk_tables(tables, *region))
    if not counts:
        return reported
    optional = [
        feature.name
        for feature in architecture.features
        if not feature.adds
        and not feature.geometry
        and feature.name not in reported
        and mode.name in (feature.modes or (mode.name,))
    ]
    sets = (reported + more for count in range(len(optional) + 1) for more in combinations(optional, count))
    return max(sets, key=lambda features: _explained(select(features), counts))


def _by_widths(info: VmcoreInfo, keys: VmcoreInfoKeys, architecture: Architecture, mode: PagingMode) -> Iterator[str]:
    """Return the features that turn the mode's widths into those that the kernel uses."""
    va_bits, pa_bits = keys.va_in_use(info), info.physical_bits
    for feature in architecture.features:
        if mode.name not in dict(feature.geometry):
            continue
        other = feature.applied(mode)
        # MAX_PHYSMEM_BITS does not depend on the VA bits in use, so a smaller VA is recognized by its bits alone
        if va_bits == other.va_bits if other.va_bits != mode.va_bits else pa_bits == other.pa_bits:
            yield feature.name


def _by_numbers(info: VmcoreInfo, keys: VmcoreInfoKeys, architecture: Architecture) -> Iterator[str]:
    """Return the features whose number in VMCOREINFO is not 0."""
    declared = {feature.name: feature for feature in architecture.features}
    for name, number in keys.features:
        value = info.number(number) or 0
        if not value or name not in declared:
            continue
        mask, places = sum(field.mask for field in declared[name].adds), declared[name].places or range(0)
        if value > 0 and value.bit_count() == 1 and value.bit_length() - 1 in places:
            yield declared[name].at(value.bit_length() - 1).name
            continue
        if mask != value:
            raise UsageError(
                f"the kernel's {number} is {value:#x}, {architecture.name} describes {name} as {mask:#x}",
                rule=f"NUMBER({number}) of VMCOREINFO",
                hint="name the features to use with --feature; entries may not decode",
            )
        yield name


def _protections(walk: Walk) -> dict[tuple[str, int], int]:
    """Return the number of leaves by level and bits that are not address."""
    leaves: dict[tuple[str, int], int] = {}
    for tables in walk.levels:
        raws, name = tables.raws[tables.leaf], tables.level.name
        if raws.size:
            form = walk.target.mode.format.form(name, EntryKind.LEAF)
            values, counts = np.unique(raws & ~np.uint64(form.address_mask), return_counts=True)
            leaves |= {(name, value): n for value, n in zip(values.tolist(), counts.tolist(), strict=True)}
    return leaves


def _explained(target: Target, leaves: dict[tuple[str, int], int]) -> int:
    """Return the number of leaves that have a protection which the kernel gives the vmemmap on ``target``."""
    small, large = (PgprotRole.KERNEL, PgprotRole.KERNEL_RO), (PgprotRole.KERNEL_LARGE,)
    roles = {level.name: small if level is target.mode.last else large for level in target.mode.levels}
    return sum(n for (at, bits), n in leaves.items() if bits in {target.bits(at, role) for role in roles[at]})
