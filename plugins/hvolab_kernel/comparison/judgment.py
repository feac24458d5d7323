# SPDX-License-Identifier: GPL-2.0-only
"""Rules applied to the kernel's machine in each case, whether the engine agrees or not.

The head's page is compared before and after each operation on a folio. After a case every folio that is not optimized
is freed, and the page allocator's demands on its struct pages are checked. Kernel and engine can agree and both be
wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hvolab.hugetlb.folio import FolioPages
from hvolab.invariants import INVARIANTS, Finding, Monitor
from hvolab.machine import Machine


def _monitor(machine: Machine, rule: str) -> Monitor:
    return Monitor(machine, [invariant for invariant in INVARIANTS if invariant.name == rule])


class KernelJudge:
    """Findings of all cases of a comparison, those of one kind together."""

    def __init__(self) -> None:
        self._content: dict[str, Finding] = {}
        self._freeing: Monitor | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, one for each kind."""
        return (*(() if self._freeing is None else self._freeing.findings), *self._content.values())

    @contextmanager
    def watch(self, machine: Machine) -> Iterator[None]:
        """Check the operations on folios of a machine inside the ``with`` block."""
        monitor = _monitor(machine, "content")
        with monitor.watch(single_steps=True):
            yield
        for finding in monitor.findings:
            self._content.setdefault(finding.what, finding)

    def free(self, machine: Machine, folios: Sequence[int], order: int) -> None:
        """Free those of a machine's folios that are not optimized."""
        pages, layout = FolioPages(machine, machine.cpus[0]), machine.struct_pages.layout
        if self._freeing is None:
            # the events of other machines have all that it counts
            self._freeing = _monitor(machine, "freeing")
        with machine.trace.listen(self._freeing):
            for folio in folios:
                if not pages.flag(folio, layout.hpg_vmemmap_optimized):
                    pages.set_hugetlb(folio, hugetlb=False)
                    pages.init_deferred_list(folio)
                    machine.free_pages(machine.struct_pages.pfn(folio), order)
