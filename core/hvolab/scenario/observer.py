"""Watches a pool's batches: which folio is looked at closely, and how its vmemmap is mapped before and after."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.hvo import HasOrder, HvoEngine
from hvolab.machine.struct_pages import lists
from hvolab.scenario.views import VmemmapView, view_vmemmap


@dataclass(frozen=True)
class BeforeAfter:
    """One folio before and after the batch that optimized its pool: VA of its head, and both views."""

    folio: int
    before: VmemmapView
    after: VmemmapView


class Observer:
    """Optimizes and restores as the engine does; looks at the first folio of the first batch of each order.

    sights  what was seen, by order
    """

    def __init__(self, hvo: HvoEngine) -> None:
        self.hvo = hvo
        self.sights: dict[int, BeforeAfter] = {}

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folios()."""
        machine, cpu = self.hvo.machine, self.hvo.cpu
        node = next(lists.nodes(cpu, folio_list), None)
        if node is None or h.order in self.sights:
            self.hvo.optimize_folios(h, folio_list)
            return
        folio, pages = node - machine.struct_pages.layout.lru_next, self.hvo.sizes(h).pages
        before = view_vmemmap(machine, folio, pages)
        self.hvo.optimize_folios(h, folio_list)
        self.sights[h.order] = BeforeAfter(folio, before, view_vmemmap(machine, folio, pages))

    def optimize_folio(self, h: HasOrder, folio: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folio()."""
        self.hvo.optimize_folio(h, folio)

    def restore_folio(self, h: HasOrder, folio: int) -> int:
        """Kernel: hugetlb_vmemmap_restore_folio()."""
        return self.hvo.restore_folio(h, folio)

    def restore_folios(self, h: HasOrder, folio_list: int, non_hvo_folios: int) -> int:
        """Kernel: hugetlb_vmemmap_restore_folios()."""
        return self.hvo.restore_folios(h, folio_list, non_hvo_folios)
