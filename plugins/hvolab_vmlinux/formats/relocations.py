# SPDX-License-Identifier: GPL-2.0-only
"""Relative relocations: pointers that a kernel fills in at its start, by a table in its image.

In the file such a pointer is zero, and code that runs from the image would see a null pointer: a page-table walk would
find no callbacks and succeed. The table is therefore applied for the link address. RELR tables need no work: with them
the file has the pointer's value. Kernel: relocate_kernel() in arch/arm64/kernel/pi/relocate.c, relocate_kernel() in
arch/riscv/mm/init.c, v6.12. Source: ELF gABI, "Relocation"; the numbers are in each psABI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab.arrays import equal_runs
from hvolab_vmlinux.binary import damaged

#: R_AARCH64_RELATIVE and R_RISCV_RELATIVE. Kernels of x86_64 have link addresses in place, and a table to add to them.
_RELATIVE: Final = {"EM_AARCH64": 0x403, "EM_RISCV": 3}
#: Smallest number of consecutive entries that is a table.
_SHORTEST: Final = 32
_KERNEL_HALF: Final = np.uint64(1 << 63)


@dataclass(frozen=True, eq=False)
class Relocations:
    """Relative relocations: the pointer at each VA of `places` has the value (a VA) in `values`."""

    places: NDArray[np.uint64]
    values: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.places)

    def value_at(self, place: int) -> int | None:
        """Return the pointer at that VA; None where it is not relocated."""
        found = np.flatnonzero(self.places == np.uint64(place))
        return int(self.values[found[0]]) if len(found) else None

    def applied(self, content: NDArray[np.uint8], va: int) -> NDArray[np.uint8]:
        """Return the content of a segment that starts at `va`, with all its pointers filled in."""
        ends = np.uint64(va + len(content) - 8) if len(content) >= 8 else np.uint64(0)
        inside = (self.places >= np.uint64(va)) & (self.places <= ends)
        if not inside.any():
            return content
        filled = content.copy()
        offsets = (self.places[inside] - np.uint64(va)).astype(np.int64)
        values = np.ascontiguousarray(self.values[inside]).view(np.uint8).reshape(-1, 8)
        filled[offsets[:, None] + np.arange(8)] = values
        return filled


NONE: Final = Relocations(np.zeros(0, np.uint64), np.zeros(0, np.uint64))


def find_relocations(content: bytes | NDArray[np.uint8], machine: str) -> Relocations:
    """Return the longest table of relative relocations in the content; an empty one where there is none."""
    kind = _RELATIVE.get(machine)
    words = np.frombuffer(content, "<u8", len(content) // 8)
    if kind is None:
        return NONE
    best = NONE
    for phase in range(3):
        count = (len(words) - phase) // 3
        table = words[phase : phase + 3 * count].reshape(count, 3)
        fits = table[:, 1] == kind
        fits &= (table[:, 0] >= _KERNEL_HALF) & (table[:, 2] >= _KERNEL_HALF)
        starts, ends = equal_runs(fits)
        lengths = np.where(fits[starts], ends - starts, 0)
        if lengths.max(initial=0) >= max(_SHORTEST, len(best) + 1):
            run = table[starts[lengths.argmax()] : ends[lengths.argmax()]]
            best = Relocations(run[:, 0].copy(), run[:, 2].copy())
    return best


def check_within(relocations: Relocations, base: int, memory_size: int, where: str) -> None:
    """Raise KernelImageError where the image does not fit at its link address, or a relocation is outside it."""
    if base < 0 or base + memory_size > 1 << 64:
        raise damaged(f"the image has {memory_size:#x} bytes and is linked at {base:#x}", where, "VAs have 64 bits")
    outside = (relocations.places < np.uint64(base)) | (relocations.places > np.uint64(base + memory_size - 8))
    if outside.any():
        first = int(relocations.places[np.argmax(outside)])
        raise damaged(
            f"{int(outside.sum())} of {len(relocations)} relocations are outside the image, the first at {first:#x}",
            where,
            f"the image has {memory_size:#x} bytes and is linked at {base:#x}",
        )
