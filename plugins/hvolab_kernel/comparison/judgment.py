# SPDX-License-Identifier: GPL-2.0-only
"""Rules applied to the kernel's machine in each case, whether the engine agrees or not.

The head's page is compared before and after each operation on a folio. After a case every folio that is not optimized
is freed, and the page allocator's demands on its struct pages are checked. Kernel and engine can agree and both be
wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from hvolab.arch import Target
from hvolab.hugetlb.folio import FolioPages
from hvolab.invariants import INVARIANTS, Finding, Monitor
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release import StructPageLayout
from hvolab.trace import BadPages, Event

#: The smallest machine in a scenario: its sizes are those of all.
_MEMORY = 512 << 20
_BY_NAME = {invariant.name: invariant for invariant in INVARIANTS}


def _monitor(machine: Machine, rule: str) -> Monitor:
    return Monitor(machine, [_BY_NAME[rule]])


class CaseEvidence(NamedTuple):
    """Evidence of broken rules in one case, which another process can send.

    content  text, place, declaration, event and known fault of each finding of the rule about contents
    bad      struct pages that were wrong when their folio was freed
    """

    content: tuple[tuple[str, str, bool, int | None, str], ...] = ()
    bad: tuple[BadPages, ...] = ()


class KernelJudge:
    """Applies the rules in a case, and collects the evidence."""

    def __init__(self) -> None:
        self._content: list[Finding] = []
        self._bad: list[BadPages] = []

    @contextmanager
    def watch(self, machine: Machine) -> Iterator[None]:
        """Check the operations on folios of a machine inside the ``with`` block."""
        monitor = _monitor(machine, "content")
        with monitor.watch(single_steps=True):
            yield
        self._content += monitor.findings

    def free(self, machine: Machine, folios: Sequence[int], order: int) -> None:
        """Check those of a machine's folios that are not optimized as if they were freed."""
        pages, layout = FolioPages(machine, machine.cpus[0]), machine.struct_pages.layout
        with machine.trace.listen(self._on_event):
            for folio in folios:
                if not pages.flag(folio, layout.hpg_vmemmap_optimized):
                    pages.set_hugetlb(folio, hugetlb=False)
                    pages.init_deferred_list(folio)
                    # the case ends here: what freeing stores is not looked at
                    machine.check_block(machine.struct_pages.pfn(folio), order)

    def _on_event(self, event: Event) -> None:
        if isinstance(event, BadPages):
            self._bad.append(event)

    def take(self) -> CaseEvidence:
        """Return the evidence since the last call."""
        content = tuple((one.what, one.where, one.declared, one.since, one.fault) for one in self._content)
        evidence = CaseEvidence(content, tuple(self._bad))
        self._content, self._bad = [], []
        return evidence


class KernelFindings:
    """Findings of all cases of a comparison, those of one kind together.

    target  that of the machines
    layout  returns their struct page
    """

    def __init__(self, target: Target, layout: Callable[[], StructPageLayout]) -> None:
        self._target = target
        self._layout = layout
        self._content: dict[str, Finding] = {}
        self._freeing: Monitor | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, one for each kind."""
        return (*(() if self._freeing is None else self._freeing.findings), *self._content.values())

    def add(self, evidence: CaseEvidence) -> None:
        """Add the evidence of a case."""
        for what, where, declared, since, fault in evidence.content:
            self._content.setdefault(what, Finding(_BY_NAME["content"], what, where, declared, since, fault))
        for event in evidence.bad:
            if self._freeing is None:
                # an event has all that the rule counts; of the machine it needs the release and the sizes
                machine = build_machine(self._target, MachineSpec(memory=_MEMORY, layout=self._layout()))
                self._freeing = _monitor(machine, "freeing")
            self._freeing(event)
