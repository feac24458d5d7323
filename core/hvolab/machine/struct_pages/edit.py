# SPDX-License-Identifier: GPL-2.0-only
"""Loads and stores of runs of struct pages through a CPU, at the vmemmap's VAs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hvolab.machine.cpus.cpu import Cpu
from hvolab.machine.struct_pages.pages import StructPages

Words = npt.NDArray[np.uint64]


def edit_struct_pages(cpu: Cpu, pages: StructPages, va: int, count: int, change: Callable[[Words, int], None]) -> None:
    """Load ``count`` struct pages from ``va`` on, call ``change(words, first)``, and store them.

    ``words`` has shape (struct pages, words of each); ``first`` is the position of the first of them. Each call has
    one page of vmemmap, so that a store to a read-only tail faults at the same VA as the kernel's; or the struct page
    that straddles two, if its size is not a power of two.
    """
    layout, memory = pages.layout, pages.memory
    size, page_size, dtype, done = layout.size, 1 << memory.page_shift, memory.words.dtype, 0
    while done < count:
        start = va + done * size
        part = min(count - done, max(1, (page_size - start % page_size) // size))
        octets = np.frombuffer(bytearray(cpu.load(start, part * size)), dtype=dtype)
        words = octets.reshape(part, layout.words)
        change(words, done)
        cpu.store(start, words.tobytes())
        done += part
