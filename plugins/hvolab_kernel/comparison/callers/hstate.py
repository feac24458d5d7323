# SPDX-License-Identifier: GPL-2.0-only
"""Hstates in a kernel's own memory, as hugetlb_init() leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hvolab.arithmetic import WORD_BYTES
from hvolab.hugetlb import Hstate
from hvolab_kernel.running.loader import NODE_SIZE, LoadedKernel

_HSTATE: Final = "hstate"
#: Kernel: hstate, node_hstate in include/linux/hugetlb.h and mm/hugetlb.c, v6.12.
_COUNTERS: Final = {
    "nr": "nr_huge_pages",
    "free": "free_huge_pages",
    "surplus": "surplus_huge_pages",
    "resv": "resv_huge_pages",
    "max_huge_pages": "max_huge_pages",
}
_TURNS: Final = {"alloc": "next_nid_to_alloc", "free": "next_nid_to_free"}
_LIST_BYTES: Final = 2 * WORD_BYTES


class KernelHstate:
    """One hstate of a kernel.

    va         VA of the struct
    order, demote_order  as in the struct
    freelists  VA of the list head of free folios, for each node
    text       VA of bytes for text that is written to a file in sysfs
    """

    def __init__(self, loaded: LoadedKernel, index: int, h: Hstate) -> None:
        self._loaded = loaded
        self._types = loaded.kernel.types
        self._nodes = len(h.freelists)
        self._index = index
        self.order, self.demote_order = h.order, h.demote_order
        self.va = loaded.kernel.symbols.address("hstates") + index * self._types.size(_HSTATE)
        self.text = loaded.data.va
        start = self._at("hugepage_freelists")
        self.freelists = tuple(start + node * _LIST_BYTES for node in range(self._nodes))
        self._counters = self._places()
        self._place(h)

    def _place(self, h: Hstate) -> None:
        """Write what hugetlb_add_hstate() and hugetlb_init_hstates() write, and the files in sysfs."""
        loaded, size = self._loaded, h.size
        loaded.write(self._at("order"), 4, h.order)
        loaded.write(self._at("demote_order"), 4, h.demote_order)
        loaded.write(self._at("mask"), WORD_BYTES, -size % (1 << 64))
        for head in (self._at("hugepage_activelist"), *self.freelists):
            for link in (0, WORD_BYTES):
                loaded.write(head + link, WORD_BYTES, head)
        for node in range(-1, self._nodes):
            loaded.write(self._kobj_slot(node), WORD_BYTES, self.kobj(node))

    def _at(self, member: str) -> int:
        return self.va + self._types.offset(_HSTATE, member)

    def kobj(self, node: int) -> int:
        """Return the kobject of the hstate, -1, or of the hstate on a node: its address is all that is read."""
        return self.text + 64 + 8 * (self._index * (self._nodes + 1) + node + 1)

    def _kobj_slot(self, node: int) -> int:
        symbols, types = self._loaded.kernel.symbols, self._types
        if node < 0:
            return symbols.address("hstate_kobjs") + WORD_BYTES * self._index
        start = symbols.address("node_hstates") + node * types.size("node_hstate")
        return start + types.offset("node_hstate", "hstate_kobjs") + WORD_BYTES * self._index

    def counters(self) -> dict[str, int]:
        """Return counters and turns, in sum and for each node."""
        return {name: self._loaded.read(va, size) for name, (va, size) in self._counters.items()}

    def _places(self) -> dict[str, tuple[int, int]]:
        """Return VA and bytes of each counter and turn, by name."""
        places = {name: (self._at(member), WORD_BYTES) for name, member in _COUNTERS.items()}
        for name in ("nr", "free", "surplus"):
            start = self._at(f"{_COUNTERS[name]}_node")
            places |= {f"{name}, node {node}": (start + 4 * node, 4) for node in range(self._nodes)}
        return places | {f"next node to {name}": (self._at(member), 4) for name, member in _TURNS.items()}


def place_hstates(loaded: LoadedKernel, nodes: int, hs: Sequence[Hstate]) -> tuple[KernelHstate, ...]:
    """Place hstates in a kernel's memory, with the masks of nodes, and the list of zones of each node."""
    symbols, types = loaded.kernel.symbols, loaded.kernel.types
    loaded.write(symbols.address("hugetlb_max_hstate"), 4, len(hs))
    for state in ("N_ONLINE", "N_NORMAL_MEMORY", "N_MEMORY"):
        va = symbols.address("node_states") + types.size("nodemask_t") * types.enumerator(state)
        loaded.write(va, WORD_BYTES, (1 << nodes) - 1)
    for name in ("nr_online_nodes", "nr_node_ids"):
        loaded.write(symbols.address(name), 4, nodes)
    allowed = symbols.address("init_task") + types.offset("task_struct", "mems_allowed")
    loaded.write(allowed, WORD_BYTES, (1 << nodes) - 1)
    for node in range(nodes):
        _place_node(loaded, nodes, node)
    return tuple(KernelHstate(loaded, index, h) for index, h in enumerate(hs))


def _place_node(loaded: LoadedKernel, nodes: int, node: int) -> None:
    """Write a node's list of zones: its own first, then those of the other nodes, one of each.

    Kernel: build_zonelists() in mm/page_alloc.c, v6.12.
    """
    types = loaded.kernel.types
    start, zones = loaded.node.va, types.offset("pglist_data", "node_zones")
    va = start + node * NODE_SIZE
    loaded.write(loaded.kernel.symbols.address("node_data") + WORD_BYTES * node, WORD_BYTES, va)
    loaded.write(va + zones + types.offset("zone", "node"), 4, node)
    entry = va + types.offset("pglist_data", "node_zonelists") + types.offset("zonelist", "_zonerefs")
    for each in (node, *(other for other in range(nodes) if other != node)):
        loaded.write(entry + types.offset("zoneref", "zone"), WORD_BYTES, start + each * NODE_SIZE + zones)
        entry += types.size("zoneref")
