# SPDX-License-Identifier: GPL-2.0-only
"""Integer arithmetic that the kernel has macros for, and the word that entries and struct pages are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Bytes of a word: a page-table entry, a pointer, an unsigned long of a 64-bit kernel.
WORD_BYTES: Final = 8
#: log2 of the bytes of a word.
WORD_SHIFT: Final = 3

_Integers = TypeVar("_Integers", int, "npt.NDArray[np.int64]")


def div_round_up(value: _Integers, unit: int) -> _Integers:
    """Return the number of units that cover `value`. Kernel: DIV_ROUND_UP() in include/vdso/math.h, v6.12."""
    return -(-value // unit)


def round_up(value: _Integers, unit: int) -> _Integers:
    """Return the lowest multiple of `unit` that is not below `value`. Kernel: roundup() in include/linux/math.h, v6.12.

    Unlike the kernel's round_up(), any positive unit is allowed, not only powers of two.
    """
    return -(-value // unit) * unit
