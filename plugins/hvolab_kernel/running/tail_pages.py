# SPDX-License-Identifier: GPL-2.0-only
"""Pages that the tails of all folios of a zone and order share, as a kernel's own zones have them.

Kernel: zone.vmemmap_tails in include/linux/mmzone.h, vmemmap_get_tail() in mm/hugetlb_vmemmap.c, v7.2.
"""

from __future__ import annotations

import numpy as np

from hvolab.arithmetic import WORD_BYTES
from hvolab.machine import Machine
from hvolab_kernel.running.initial_state import zones_of
from hvolab_kernel.running.loader import NODE_SIZE, LoadedKernel

_MEMBER = "vmemmap_tails"


class SharedTailPages:
    """The shared pages in the zones of a loaded kernel; none for a kernel whose zones have none.

    The zones begin with those that the machine has, as a machine built from a core does.
    """

    def __init__(self, machine: Machine, loaded: LoadedKernel) -> None:
        self._machine = machine
        zones = zones_of(loaded.kernel, loaded.node.va, NODE_SIZE, machine.nodes)
        self._arrays = []
        if not zones:
            return
        layout = loaded.kernel.types.layout("zone")
        start = loaded.kernel.types.offset("zone", _MEMBER)
        end = min((one.bit // 8 for one in layout.members if one.bit // 8 > start), default=layout.size)
        count = (end - start) // WORD_BYTES
        for zone in zones:
            words = loaded.memory.word_view(loaded.pa(zone.va + start), count)
            self._arrays.append(((zone.node, zone.number), words))
        # the first element is of the smallest order that HVO optimizes, whose vmemmap is two pages
        pages = machine.struct_pages
        self._first_order = (2 * machine.target.mode.page_size // pages.layout.size).bit_length() - 1
        for place, words in self._arrays:
            for index in range(words.size):
                if (pfn := machine.vmemmap_tails.get((*place, self._first_order + index))) is not None:
                    words[index] = pages.va(pfn)

    def copy(self) -> None:
        """Copy them to the machine, where the model has its own."""
        if not self._arrays:
            return
        pages = self._machine.struct_pages
        self._machine.vmemmap_tails = {
            (*place, self._first_order + index): pages.pfn(int(words[index]))
            for place, words in self._arrays
            for index in np.flatnonzero(words).tolist()
        }
