"""Relative relocations: pointers that a kernel fills in itself when it starts, by a table in its image.

Until then such a pointer is zero in the file, and code that runs from the image sees a null pointer: the page-table
walk finds no callbacks and succeeds. So the table is applied for the link address. RELR tables need nothing: there the
pointer's value stands in the file. Kernel: relocate_kernel() in arch/arm64/kernel/pi/relocate.c, relocate_kernel() in
arch/riscv/mm/init.c, v6.12. Source: ELF gABI, "Relocation"; the numbers are in each psABI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hvolab_vmlinux.binary import damaged, longest_run

#: R_AARCH64_RELATIVE and R_RISCV_RELATIVE. x86_64's kernels have values in place, and another table to add to them.
_RELATIVE: Final = {"EM_AARCH64": 0x403, "EM_RISCV": 3}
#: Fewer entries in a row are no table.
_SHORTEST: Final = 32
_KERNEL_HALF: Final = np.uint64(1 << 63)


@dataclass(frozen=True, eq=False)
class Relocations:
    """Relative relocations: at each of `places` (VA) the pointer is the one in `values` (VA)."""

    places: NDArray[np.uint64]
    values: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.places)

    def value_at(self, place: int) -> int | None:
        """The pointer at that VA, if it is relocated."""
        found = np.flatnonzero(self.places == np.uint64(place))
        return int(self.values[found[0]]) if len(found) else None

    def applied(self, content: NDArray[np.uint8], va: int) -> NDArray[np.uint8]:
        """The content of a segment that starts at `va`, with all pointers in it filled in."""
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
    """The longest table of relative relocations in the content; none if there is none."""
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
        start, length = longest_run(fits)
        if length >= max(_SHORTEST, len(best) + 1):
            best = Relocations(table[start : start + length, 0].copy(), table[start : start + length, 2].copy())
    return best


def check_within(relocations: Relocations, base: int, memory_size: int, where: str) -> None:
    """Raise KernelImageError if the image does not fit where it is linked, or a relocation is for a place outside."""
    if base < 0 or base + memory_size > 1 << 64:
        raise damaged(f"the image takes {memory_size:#x} bytes and is linked at {base:#x}", where, "VAs have 64 bits")
    outside = (relocations.places < np.uint64(base)) | (relocations.places > np.uint64(base + memory_size - 8))
    if outside.any():
        first = int(relocations.places[np.argmax(outside)])
        raise damaged(
            f"{int(outside.sum())} of {len(relocations)} relocations are outside the image, the first at {first:#x}",
            where,
            f"the image is linked at {base:#x} and takes {memory_size:#x} bytes",
        )
