# SPDX-License-Identifier: GPL-2.0-only
"""Rules applied to the kernel's machine in each case, whether the engine agrees or not.

Every rule is applied: those about histories while the kernel's code runs, those about states after a case. Then the
page allocator's demands on the struct pages of every folio that is not optimized are checked. Kernel and engine can
agree and both be wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np

from hvolab.arch import Target
from hvolab.hugetlb import Pool
from hvolab.hugetlb.folio import FolioPages
from hvolab.invariants import INVARIANTS, Finding, Folios, Monitor, check
from hvolab.machine import Machine, MachineSpec, build_machine
from hvolab.release import StructPageLayout
from hvolab.trace import BadPages, Event

#: The smallest machine in a scenario: its sizes are those of all.
_MEMORY: Final = 512 << 20
_BY_NAME: Final = {invariant.name: invariant for invariant in INVARIANTS}
_FREEING, _CONTENT, _POOL = "freeing", "content", "pool"
#: Rules about histories, without that of blocks that are freed, whose events are evidence; rules about states.
_HISTORIES: Final = tuple(one for one in INVARIANTS if one.name != _FREEING)
_STATES: Final = tuple(one for one in INVARIANTS if one.name not in {_FREEING, _CONTENT})
_NUMBER: Final = re.compile(r"0x[0-9a-f]+|\d+")


class FoundInCase(NamedTuple):
    """A finding as data: the name of its rule, and the fields of :class:`Finding`."""

    rule: str
    what: str
    where: str
    declared: bool
    since: int | None
    fault: str


class CaseEvidence(NamedTuple):
    """Evidence of broken rules in one case, which another process can send.

    found  the findings of all rules but that of blocks that are freed
    bad    struct pages that were wrong when their block was freed
    """

    found: tuple[FoundInCase, ...] = ()
    bad: tuple[BadPages, ...] = ()


class KernelJudge:
    """Applies the rules in a case, and collects the evidence."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._bad: list[BadPages] = []

    @contextmanager
    def watch(self, machine: Machine, *, entries: bool) -> Iterator[None]:
        """Check the operations on folios of a machine inside the ``with`` block.

        entries  each store to a page table emits an event; else only the rule of content is checked
        """
        monitor = Monitor(machine, _HISTORIES if entries else [_BY_NAME[_CONTENT]])
        with monitor.watch(single_steps=True), machine.trace.listen(self._on_event, single_steps=True):
            yield
        self._found += monitor.findings

    def at_rest(self, machine: Machine, folios: Mapping[int, Collection[int]], pools: Iterable[Pool] = ()) -> None:
        """Check the state of a machine with folios, by order; their contents are checked by :meth:`free`.

        pools  pools of the engine that have the kernel's counters and lists
        """
        chunks = [
            Folios(order, np.array(sorted(map(machine.struct_pages.pfn, some)), dtype=np.int64))
            for order, some in folios.items()
            if some
        ]
        self._found += check(machine, folios=chunks, invariants=_STATES)
        for pool in pools:
            self._found += check(pool.machine, [pool], invariants=[_BY_NAME[_POOL]])

    def free(self, machine: Machine, folios: Iterable[int], order: int) -> None:
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
        """Return the evidence since the last call, the first finding of each kind."""
        kinds: dict[tuple[str, str], FoundInCase] = {}
        for one in self._found:
            found = FoundInCase(one.rule, one.what, one.where, one.declared, one.since, one.fault)
            kinds.setdefault(_kind(found), found)
        evidence = CaseEvidence(tuple(kinds.values()), tuple(self._bad))
        self._found, self._bad = [], []
        return evidence


def _kind(found: FoundInCase) -> tuple[str, str]:
    """Return what findings of one kind have in common: the rule, and one known fault or the same words."""
    return found.rule, found.fault or _NUMBER.sub("#", found.what)


class KernelFindings:
    """Findings of all cases of a comparison, those of one kind together.

    target  that of the machines
    layout  returns their struct page
    """

    def __init__(self, target: Target, layout: Callable[[], StructPageLayout]) -> None:
        self._target = target
        self._layout = layout
        self._kinds: dict[tuple[str, str], Finding] = {}
        self._freeing: Monitor | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The findings, one for each kind."""
        return (*(() if self._freeing is None else self._freeing.findings), *self._kinds.values())

    def add(self, evidence: CaseEvidence) -> None:
        """Add the evidence of a case."""
        for one in evidence.found:
            finding = Finding(_BY_NAME[one.rule], one.what, one.where, one.declared, one.since, one.fault)
            self._kinds.setdefault(_kind(one), finding)
        for event in evidence.bad:
            if self._freeing is None:
                # an event has all that the rule counts; of the machine it needs the release and the sizes
                machine = build_machine(self._target, MachineSpec(memory=_MEMORY, layout=self._layout()))
                self._freeing = Monitor(machine, [_BY_NAME[_FREEING]])
            self._freeing(event)
