"""The symbols that an image carries for itself, read from its bytes without any table of contents.

Where the numbers stand that go with the names, and what they mean, has changed:

=============  ==========================================  =================================================
layout         where                                       an address is
=============  ==========================================  =================================================
before-names   before the number of names (up to 6.3)      `kallsyms_relative_base` plus the number
after-index    behind the token index (6.4 and later)      the same
place          behind the token index (7.x)                the number plus the place that it stands at
=============  ==========================================  =================================================

In the first two a kernel whose per-CPU data is linked at zero has KALLSYMS_ABSOLUTE_PERCPU: numbers that are not
negative are addresses themselves, the others count down from the base. Which layout it is shows: addresses ascend.
Kernel: scripts/kallsyms.c and kallsyms_sym_address() in kernel/kallsyms.c, v6.1, v6.12 and v7.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.binary import aligned
from hvolab_vmlinux.symbols.kallsyms_names import Names, find_names

#: Kernel VAs are in the upper half of the address space.
_KERNEL_HALF = 1 << 63


@dataclass(frozen=True, eq=False)
class Kallsyms:
    """The symbols of an image, as far as they can be told without knowing where it is linked.

    names     their names and kinds
    layout    ``before-names``, ``after-index`` or ``place``
    numbers   what the image has for each
    table_at  where these stand in the image
    per_cpu   whether numbers that are not negative are addresses themselves
    base      `kallsyms_relative_base` as the image has it: 0 where a relocation fills it in; None for ``place``
    base_at   where that stands
    """

    names: Names
    layout: str
    numbers: NDArray[np.int64]
    table_at: int
    per_cpu: bool
    base: int | None
    base_at: int | None

    def addresses(self, base: int) -> NDArray[np.uint64]:
        """All addresses. `base` is what `kallsyms_relative_base` holds; for ``place``, the VA of the table."""
        origin = np.uint64(base)
        if self.layout == "place":
            places = np.arange(len(self.numbers), dtype=np.int64) * 4
            return (self.numbers + places).view(np.uint64) + origin
        if self.per_cpu:
            below = origin - np.uint64(1) - self.numbers.view(np.uint64)
            return np.where(self.numbers >= 0, self.numbers.view(np.uint64), below)
        return (self.numbers & 0xFFFFFFFF).view(np.uint64) + origin


def find_kallsyms(content: bytes) -> Kallsyms | None:
    """The symbols; None where there are none, or none in a layout that is known."""
    names = find_names(content)
    if names is None:
        return None
    return next(_in_known_layout(content, names), None)


def _in_known_layout(content: bytes, names: Names) -> Iterator[Kallsyms]:
    size = 4 * names.count
    after = names.tokens.index_end
    base_before = aligned(names.count_at, 8) - 8
    for layout, table_at, base_at in (
        ("after-index", aligned(after, 8), aligned(aligned(after, 8) + size, 8)),
        ("before-names", base_before - aligned(size, 8), base_before),
    ):
        if table_at < 0 or base_at + 8 > len(content):
            continue
        base = int.from_bytes(content[base_at : base_at + 8], "little")
        if 0 < base < _KERNEL_HALF:
            continue
        numbers = _numbers(content, table_at, names.count)
        for per_cpu in (False, True):
            found = Kallsyms(names, layout, numbers, table_at, per_cpu, base, base_at)
            if _ascend(found.addresses(base or _KERNEL_HALF)):
                yield found
    table_at = aligned(after, 4)
    if table_at + size <= len(content):
        found = Kallsyms(names, "place", _numbers(content, table_at, names.count), table_at, False, None, None)
        if _ascend(found.addresses(_KERNEL_HALF)):
            yield found


def _numbers(content: bytes, start: int, count: int) -> NDArray[np.int64]:
    return np.frombuffer(content, "<i4", count, start).astype(np.int64)


def _ascend(addresses: NDArray[np.uint64]) -> bool:
    return bool((addresses[1:] >= addresses[:-1]).all()) and addresses[0] != addresses[-1]
