"""Observer of the batches of pools: one folio's vmemmap before and after it was optimized."""

from __future__ import annotations

from dataclasses import dataclass

from hvolab.hvo import HasOrder, HvoEngine
from hvolab.machine.struct_pages import lists
from hvolab.scenario.views import VmemmapView, view_vmemmap


@dataclass(frozen=True)
class BeforeAfter:
    """One folio before and after the batch that optimized it: VA of its head, and both views."""

    folio: int
    before: VmemmapView
    after: VmemmapView


class Observer:
    """Engine that views the first folio of the first batch of each order, and else does what another engine does.

    observed  views by order
    """

    def __init__(self, hvo: HvoEngine) -> None:
        self._hvo = hvo
        self.observed: dict[int, BeforeAfter] = {}
        self.optimize_folio = hvo.optimize_folio
        self.restore_folio = hvo.restore_folio
        self.restore_folios = hvo.restore_folios

    def optimize_folios(self, h: HasOrder, folio_list: int) -> None:
        """Kernel: hugetlb_vmemmap_optimize_folios()."""
        machine, hvo = self._hvo.machine, self._hvo
        node = next(lists.nodes(hvo.cpu, folio_list), None)
        if node is None or h.order in self.observed:
            hvo.optimize_folios(h, folio_list)
            return
        folio, pages = node - machine.struct_pages.layout.lru_next, hvo.sizes(h).pages
        before = view_vmemmap(machine, folio, pages)
        hvo.optimize_folios(h, folio_list)
        self.observed[h.order] = BeforeAfter(folio, before, view_vmemmap(machine, folio, pages))
