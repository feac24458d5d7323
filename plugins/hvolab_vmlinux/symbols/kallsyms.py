# SPDX-License-Identifier: GPL-2.0-only
"""Kallsyms: the symbols in a kernel's own data, found in an image by their bytes alone.

The place and the meaning of the numbers that belong to the names have changed:

=============  ==========================================  =================================================
layout         place of the numbers                        address of a symbol
=============  ==========================================  =================================================
before-names   before the number of names (up to 6.3)      `kallsyms_relative_base` plus the number
after-index    after the token index (6.4 and later)      the same
place          after the token index (7.x)                the number plus its own VA
=============  ==========================================  =================================================

In the first two layouts, kernels whose per-CPU data is linked at zero have KALLSYMS_ABSOLUTE_PERCPU: numbers that are
not negative are addresses, the others count down from the base. The right layout is the one with ascending addresses.
Kernel: scripts/kallsyms.c and kallsyms_sym_address() in kernel/kallsyms.c, v6.1, v6.12 and v7.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hvolab.arithmetic import round_up
from hvolab_vmlinux.symbols.kallsyms_names import Names, find_names
from hvolab_vmlinux.symbols.table import SymbolTable

#: Kernel VAs are in the upper half of the address space.
_KERNEL_HALF = 1 << 63


@dataclass(frozen=True, eq=False)
class Kallsyms:
    """The symbols of an image, before its link address is known.

    names     their names and kinds
    layout    ``before-names``, ``after-index`` or ``place``
    numbers   the number of each symbol, as in the image
    table_at  place of the numbers in the image
    per_cpu   whether numbers that are not negative are addresses
    base      `kallsyms_relative_base` as in the image: 0 where a relocation fills it in; None for ``place``
    base_at   its place in the image
    """

    names: Names
    layout: str
    numbers: NDArray[np.int64]
    table_at: int
    per_cpu: bool
    base: int | None
    base_at: int | None

    def addresses(self, base: int) -> NDArray[np.uint64]:
        """Return all addresses. `base` is the value of `kallsyms_relative_base`; for ``place``, the table's VA."""
        origin = np.uint64(base)
        if self.layout == "place":
            places = np.arange(len(self.numbers), dtype=np.int64) * 4
            return (self.numbers + places).view(np.uint64) + origin
        if self.per_cpu:
            below = origin - np.uint64(1) - self.numbers.view(np.uint64)
            return np.where(self.numbers >= 0, self.numbers.view(np.uint64), below)
        return (self.numbers & 0xFFFFFFFF).view(np.uint64) + origin

    def symbols(self, base: int) -> SymbolTable:
        """Return the table of the symbols, with the addresses for this `base`."""
        return SymbolTable.of(self.addresses(base), self.names.letters, self.names.text)


def find_kallsyms(content: bytes) -> Kallsyms | None:
    """Return the symbols of an image; None where it has none in a known layout."""
    names = find_names(content)
    if names is None:
        return None
    return next((found for found in _candidates(content, names) if _ascend(found)), None)


def _candidates(content: bytes, names: Names) -> Iterator[Kallsyms]:
    size = 4 * names.count
    after = round_up(names.tokens.index_end, 8)
    before = round_up(names.count_at, 8) - 8
    for layout, table_at, base_at in (
        ("after-index", after, round_up(after + size, 8)),
        ("before-names", before - round_up(size, 8), before),
        ("place", round_up(names.tokens.index_end, 4), None),
    ):
        end = table_at + size if base_at is None else base_at + 8
        if table_at < 0 or end > len(content):
            continue
        base = None if base_at is None else int.from_bytes(content[base_at:end], "little")
        if base is None or not 0 < base < _KERNEL_HALF:
            numbers = np.frombuffer(content, "<i4", names.count, table_at).astype(np.int64)
            for per_cpu in (False,) if base is None else (False, True):
                yield Kallsyms(names, layout, numbers, table_at, per_cpu, base, base_at)


def _ascend(found: Kallsyms) -> bool:
    addresses = found.addresses(found.base or _KERNEL_HALF)
    return bool((addresses[1:] >= addresses[:-1]).all()) and addresses[0] != addresses[-1]
