# SPDX-License-Identifier: GPL-2.0-only
"""Rules for a kernel's HVO by itself, without any reference: what has to hold whatever the code is.

A change that no release has, such as pages that are freed in another order, differs from the model and from the code
before it, and may be right. Checked in each case are: that each call returns, and reports nothing; its result; locks
and counters that are raised and lowered; all invariants, on the way and at rest; that each frame has one owner and none
is lost; stores outside of the vmemmap, page tables and new frames; and that what is not optimized can be freed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from hvolab.arch import Target
from hvolab.errors import HvolabError, KernelBug
from hvolab.hugetlb.folio import FolioPages
from hvolab.hvo import VmemmapSizes
from hvolab.invariants import INVARIANTS, Finding, Folios, Monitor, check, survey
from hvolab.invariants.rules.content import CONTENT
from hvolab.machine import Machine, MachineSpec, VmemmapBacking
from hvolab.machine.frames.failure import FailurePolicy
from hvolab.machine.struct_pages import lists
from hvolab.trace import Event
from hvolab_kernel.comparison.broken_rules import FAULT, BrokenRule
from hvolab_kernel.comparison.code_watch import CodeWatch
from hvolab_kernel.comparison.comparer import UNREADABLE_STATE, CaseResult, ComparisonCase
from hvolab_kernel.comparison.machine_pair import StepResult, kernel_machine, place_folios
from hvolab_kernel.comparison.scenarios import Operation, Scenario, ScenarioStep
from hvolab_kernel.identify.features import features_of
from hvolab_kernel.identify.struct_pages import struct_page_layout
from hvolab_vmlinux.kernel import Kernel

#: Results of a restore that fails. Kernel: ENOMEM in include/uapi/asm-generic/errno-base.h.
_ENOMEM: Final = -12
_LISTS: Final = frozenset({Operation.OPTIMIZE_LIST, Operation.RESTORE_LIST})
_OPTIMIZING: Final = frozenset({Operation.OPTIMIZE, Operation.OPTIMIZE_LIST})
_RESTORING: Final = frozenset({Operation.RESTORE, Operation.RESTORE_LIST})
_SHOWN: Final = 3
_OPERATIONS: Final = 2
_DECLARED: Final = "the description of the architecture predicts it"
_OF_IMAGE: Final = "the image's own code breaks it as well"


class RuledMachine:
    """A machine on which a kernel's HVO runs the steps of scenarios under all rules.

    machine  the machine
    """

    def __init__(self, target: Target, kernel: Kernel, *, memory: int, backing: VmemmapBacking) -> None:
        spec = MachineSpec(memory=memory, vmemmap=backing, layout=struct_page_layout(kernel))
        self._hvo, self._under = kernel_machine(target, kernel, spec)
        self.machine: Machine = self._under.machine
        self._pages = FolioPages(self.machine, self.machine.cpus[0])
        self._code = CodeWatch(self._hvo) if self._under.code is None else self._under.code
        self._prepared: tuple[object, ...] | None = None
        self._folios: list[int] = []
        self._prelude: tuple[BrokenRule, ...] = ()
        self._others = 0

    def prepare(self, scenario: Scenario) -> None:
        """Make the folios of a scenario and run its prelude; restore that state if it is there already."""
        key = (scenario.order, scenario.places, scenario.prelude)
        if key == self._prepared:
            self._under.restore()
            return
        self._prepared = None
        self._folios = self._under.rebuild(place_folios(self.machine, scenario), scenario.order)
        self._others = 0
        self._others = self._unowned(scenario.order)
        broken: list[BrokenRule] = []
        for step in scenario.prelude:
            broken += self._step(step, scenario)
        self._prelude = tuple(broken)
        self._under.take_initial_state()
        self._prepared = key

    def run(self, scenario: Scenario, failure: FailurePolicy) -> tuple[tuple[BrokenRule, ...], int, int]:
        """Run a scenario's steps; return the rules that they break, the number of allocations and of outside calls."""
        self.prepare(scenario)
        machine, under = self.machine, self._under
        under.frames.failure, under.flip = failure, scenario.flip
        monitor, code = self._monitor(scenario.order), list[str]()

        def on_event(event: Event) -> None:
            monitor(event)
            for one in monitor.findings[len(code) :]:
                code.append("" if one.fault else " < ".join(self._hvo.kernel_cpu.under_way()))

        broken, calls = list(self._prelude), 0
        with machine.trace.listen(on_event, single_steps=True):
            for step in scenario.steps:
                broken += self._readable(self._step(step, scenario), str(step))
                calls += self._calls
        allocations = under.frames.failure.calls
        code += [""] * (len(monitor.findings) - len(code))
        broken += [_broken(one, place) for one, place in zip(monitor.findings, code, strict=True)]
        if not any(one.rule == "completion" for one in broken):
            broken += self._readable(self._at_rest(scenario), "the case")
        kinds = {one.kind: one for one in reversed(broken)}.values()
        return tuple(map(self._with_code, kinds))[::-1], allocations, calls

    def _monitor(self, order: int) -> Monitor:
        """Return a monitor of all histories; of large folios, whose entries take long to watch, of contents only."""
        machine, cpu = self.machine, self._hvo.kernel_cpu
        leaf = machine.target.mode.levels[-2].size
        cpu.watch_page_tables = machine.struct_pages.layout.size << order <= leaf
        if len(self._hvo.traced) < _OPERATIONS:  # an object has them under names that are not found
            return Monitor(machine, [])
        return Monitor(machine, INVARIANTS if cpu.watch_page_tables else [CONTENT])

    def _with_code(self, one: BrokenRule) -> BrokenRule:
        """Return a broken rule with the code that stored its entry, or that made the last call."""
        return one if one.code else replace(one, code=self._code.of_text(one.where, one.rule) or self._code.last())

    @staticmethod
    def _readable(broken: Iterator[BrokenRule], after: str) -> Iterator[BrokenRule]:
        """Yield broken rules, and in place of an error at what cannot be read a last one."""
        try:
            yield from broken
        except UNREADABLE_STATE as error:
            yield BrokenRule("completion", f"struct pages or lists cannot be read after {after}", str(error))

    # rules of a step

    def _step(self, step: ScenarioStep, scenario: Scenario) -> Iterator[BrokenRule]:
        """Run a step; yield the rules that its call breaks."""
        folios = [self._folios[position] for position in step.folios]
        before = [self._optimized(folio) for folio in folios]
        self._hvo.last = None
        result = self._under.run(step, scenario, self._folios)
        self._calls = len(result.calls)
        last = self._hvo.last
        if isinstance(result.value, str):
            code = "" if last is None else " < ".join(last.backtrace)
            yield BrokenRule("completion", f"{step} did not return", str(last or result.value), code)
            return
        findings: tuple[str, ...] = () if last is None else last.findings
        for text in findings:
            what, *places = text.partition(";")[0].split(" < ")
            yield BrokenRule("report", f"the kernel reports in {step}: {what}", "", " < ".join(places) or text)
        for text in result.unbalanced:
            what, _, code = text.partition("; ")
            yield BrokenRule("balance", f"after {step} {what}", "", code)
        yield from self._result(step, scenario, result, folios, before)

    def _result(
        self,
        step: ScenarioStep,
        scenario: Scenario,
        result: StepResult,
        folios: Sequence[int],
        before: Sequence[bool],
    ) -> Iterator[BrokenRule]:
        """Yield what is wrong with the result of a step, and with the flags and lists that it leaves."""
        after = [self._optimized(folio) for folio in folios]
        lacking = any(call[0] == "allocate" and call[-1] is None for call in result.calls)
        operation, value = step.operation, int(result.value)
        restored = sum(old and not new for old, new in zip(before, after, strict=True))
        left = sum(after)
        if operation in _RESTORING:
            good = restored if operation is Operation.RESTORE_LIST else 0
            if value < 0 and (value != _ENOMEM or not lacking):
                yield BrokenRule(
                    "result", f"{step} returned {value}, and {'an' if lacking else 'no'} allocation failed"
                )
            elif value >= 0 and (value != good or left):
                yield BrokenRule("result", f"{step} returned {value}: {restored} folios were restored, {left} were not")
            elif value < 0 and not left:
                yield BrokenRule("result", f"{step} returned {value}, but no folio is optimized")
        elif operation in _OPTIMIZING and self._must_optimize(scenario) and not lacking and left != len(folios):
            yield BrokenRule("result", f"{step} left {len(folios) - left} folios that are not optimized")
        if operation in _OPTIMIZING and any(old and not new for old, new in zip(before, after, strict=True)):
            yield BrokenRule("result", f"{step} restored a folio")
        if operation in _LISTS:
            moved = [folio for folio, old, new in zip(folios, before, after, strict=True) if old and not new]
            yield from self._lists(step, folios, moved if operation is Operation.RESTORE_LIST else None, value)

    def _must_optimize(self, scenario: Scenario) -> bool:
        """Return whether a folio is optimized if no allocation fails."""
        machine = self.machine
        size = machine.struct_pages.layout.size
        sizes = VmemmapSizes(scenario.order, machine.target.mode.page_size, size)
        hosted = scenario.backing is VmemmapBacking.SELF_HOSTED
        return machine.optimize_enabled and sizes.optimizable and not hosted and not scenario.flip

    def _lists(
        self, step: ScenarioStep, folios: Sequence[int], restored: Sequence[int] | None, value: int
    ) -> Iterator[BrokenRule]:
        """Yield what is wrong with the lists: each folio is in one of them, a restored one in the second.

        restored  those that a restore has restored, `value` its result; None: the folios were to be optimized
        """
        restoring = restored is not None
        cpu, lru, most = self.machine.cpus[0], self.machine.struct_pages.layout.lru_next, len(folios) + 1
        try:
            first, second = (
                [node - lru for node in lists.nodes(cpu, head, most)]
                for head in (self._under.list, self._under.other_list)
            )
        except KernelBug as bug:
            yield BrokenRule("result", f"the lists are corrupt after {step}", "", str(bug))
            return
        if sorted((*first, *(second if restoring else ()))) != sorted(folios):
            yield BrokenRule(
                "result", f"{len(first)} and {len(second)} of {len(folios)} folios are in the lists after {step}"
            )
        elif restoring and any(map(self._optimized, second)):
            yield BrokenRule("result", f"a folio in the list of restored ones is optimized after {step}")
        elif restored and not set(restored) <= set(second):
            yield BrokenRule("result", f"a restored folio is not in the list of restored ones after {step}")
        elif restoring and value >= 0 and first:
            yield BrokenRule("result", f"{step} returned {value}, but {len(first)} folios are still in its list")

    def _optimized(self, folio: int) -> bool:
        return self._pages.flag(folio, self.machine.struct_pages.layout.hpg_vmemmap_optimized)

    # rules at rest

    def _all(self, order: int) -> Folios:
        pfns = sorted(map(self.machine.struct_pages.pfn, self._folios))
        return Folios(order, np.array(pfns, dtype=np.int64))

    def _unowned(self, order: int) -> int:
        """Return the number of frames that are allocated without an owner when a machine was built."""
        for one in check(self.machine, folios=[self._all(order)]):
            numbers = re.match(r"(\d+) frames are allocated, but (\d+) have an owner", one.what)
            if numbers:
                return int(numbers[1]) - int(numbers[2])
        return 0

    def _at_rest(self, scenario: Scenario) -> Iterator[BrokenRule]:
        folios = self._all(scenario.order)
        for one in check(self.machine, folios=[folios], other_frames=self._others):
            yield _broken(one, "")
        yield from self._stores(folios)
        freeing = Monitor(self.machine)
        with self.machine.trace.listen(freeing):
            for folio in self._folios:
                if not self._optimized(folio):
                    try:
                        self._free(folio, scenario.order)
                    except HvolabError as error:
                        yield BrokenRule("freeing", "a folio that is not optimized cannot be freed", "", str(error))
        for one in freeing.findings:
            yield _broken(one, "")

    def _free(self, folio: int, order: int) -> None:
        self._pages.set_hugetlb(folio, hugetlb=False)
        self._pages.init_deferred_list(folio)
        self.machine.free_pages(self.machine.struct_pages.pfn(folio), order)

    def _stores(self, folios: Folios) -> Iterator[BrokenRule]:
        """Yield stores to memory that is neither vmemmap nor a page table, and that the case has not allocated."""
        machine = self.machine
        first, count = machine.memory.first_pfn, machine.memory.frames
        allowed = self._under.used | self._under.listed
        seen = survey(machine, folios=[folios])
        for pfns in (seen.backing, seen.tables, seen.tail_pages):
            allowed[pfns - first] = True
        shift = machine.target.mode.page_shift - 3
        stored = {
            word >> shift
            for start, stop in machine.memory.changed(first, count)
            for word in range(start, stop, 1 << shift)
        }
        wrong = [frame + first for frame in sorted(stored) if not allowed[frame]]
        if wrong:
            shown = ", ".join(f"{pfn:#x}" for pfn in wrong[:_SHOWN])
            yield BrokenRule("stores", f"{len(wrong)} frames changed that HVO does not own", f"PFN {shown}")


def _broken(one: Finding, code: str) -> BrokenRule:
    return BrokenRule(one.rule, one.what, one.where, code, _DECLARED if one.declared else "", one.fault or "")


class RuleRunner:
    """Runs cases of one kernel under all rules, on machines that are built on first use.

    target   the target of the machines
    kernel   the kernel
    omitted  what is not checked

    What the image's own code breaks in the same case, under an object that was linked over it, is known. An image by
    itself is excused from nothing: what is a known fault of its release counts, and has the fault.
    """

    omitted: tuple[str, ...] = ()
    against = ""

    def __init__(self, target: Target, kernel: Kernel) -> None:
        self.target = target
        self.kernel = kernel
        self._machines: dict[tuple[int, VmemmapBacking], RuledMachine] = {}
        self._kinds: dict[str, set[tuple[str, str]]] = {}
        before = None if kernel.linked is None else kernel.linked.before
        self._before = RuleRunner(target, before) if before is not None and features_of(before).exists else None

    def run(self, case: ComparisonCase[Scenario]) -> CaseResult:
        """Run a case under the rules."""
        scenario = case.scenario
        memory, backing = scenario.memory(self.target.mode), scenario.backing
        machine = self._machines.get((memory, backing))
        if machine is None:
            machine = RuledMachine(self.target, self.kernel, memory=memory, backing=backing)
            self._machines[memory, backing] = machine
        broken, allocations, calls = machine.run(scenario, case.policy())
        if self._before is not None and broken:
            broken = self._without_known(case, broken, self._before)
        return CaseResult((), allocations, calls, broken=broken)

    def _without_known(
        self, case: ComparisonCase[Scenario], broken: Sequence[BrokenRule], before: RuleRunner
    ) -> tuple[BrokenRule, ...]:
        """Return what a case breaks, known where the image's own code breaks it as well.

        That counts in the same case, or in the case of the scenario in which no allocation fails. A known fault of the
        release by itself does not count: a slip may look like it.
        """
        kinds = self._kinds.get(case.scenario.name)
        if kinds is None:
            base = before.run(ComparisonCase(case.scenario))
            kinds = self._kinds[case.scenario.name] = {one.kind for one in base.broken}
        if any(one.kind not in kinds for one in broken):
            kinds = kinds | {one.kind for one in before.run(case).broken}
        return tuple(
            replace(one, known=one.known or (f"{FAULT}{one.fault}" if one.fault else _OF_IMAGE))
            if one.kind in kinds
            else one
            for one in broken
        )
