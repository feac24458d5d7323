# SPDX-License-Identifier: GPL-2.0-only
"""The main job: build a machine, operate on its pools, check, store to tails, check again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from hvolab.errors import HvolabError, KernelBug, MachineError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, HvoEngine
from hvolab.invariants import Finding, Monitor, check
from hvolab.invariants.rules.completion import COMPLETION
from hvolab.invariants.rules.pool import POOL
from hvolab.machine import FrameAllocator, MachineSpec, build_machine, use_cpus
from hvolab.scenario.deadline import deadline
from hvolab.scenario.operations import DEFAULT, Outcome, PoolSet, Request
from hvolab.scenario.recorder import Recorder
from hvolab.scenario.result import PoolReport, ScenarioResult, Stage, counted
from hvolab.scenario.spec import ScenarioSpec, memory_needed
from hvolab.scenario.stops import is_finding, stopped
from hvolab.scenario.stores import TailStores, store_to_tails
from hvolab.scenario.views import FolioHistory, Observer, view_vmemmap
from hvolab.scenario.work import WorkCounter

#: Above this much memory, struct pages of free memory stay uninitialized, as on kernels that defer that.
_DEFER_ABOVE = 16 << 30
#: Phase and stage of each default operation.
_PHASES = (("fill", "optimized"), ("drain", "restored"))


def run_scenario(
    spec: ScenarioSpec, recorder: Recorder | None = None, *, on_step: Callable[[str], None] = lambda _: None
) -> ScenarioResult:
    """Run a scenario.

    recorder  listens to its machine, and is given its stages
    on_step   called with the name of each operation before it

    Raises UsageError for huge pages that the mode does not have or that do not fit, and for operations that a pool
    does not have; MachineError for a machine that cannot be built; and the errors of the maker of its CPUs.
    """
    return _Scenario(spec, recorder).run(on_step)


class _Scenario:
    """One machine with its pools, and the listeners."""

    def __init__(self, spec: ScenarioSpec, recorder: Recorder | None = None) -> None:
        self.spec = spec
        self.recorder = recorder
        self.requested = spec.resolved()
        deferred = spec.memory > _DEFER_ABOVE and spec.nodes == 1  # struct pages have the node of a folio
        layout = None if spec.engine is None else spec.engine.layout
        machine_spec = MachineSpec(
            memory=spec.memory,
            nodes=spec.nodes,
            optimize_enabled=spec.boot.optimize_enabled,
            cpus=spec.cpus,
            vmemmap=spec.vmemmap,
            deferred_struct_pages=deferred,
            layout=layout,
            check_pages=spec.check_pages,
        )
        self.machine = machine = build_machine(spec.target, machine_spec)
        if spec.cpu is not None:
            use_cpus(machine, spec.cpu)
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("the scenario needs a machine that allocates its own frames")
        self.frames: FrameAllocator = machine.frames
        self.unmade: Exception | None = None
        self.hvo = self._make_engine()
        self.observer = Observer(self.hvo)
        pools = (Pool(machine, h, self.observer) for h in hstates(machine, cma=spec.boot.cma))
        self.pools = tuple(pool for pool in pools if spec.requests or pool.h.size in self.requested)
        self.stores: dict[int, TailStores] = {}
        self.monitor = Monitor(machine)
        self.findings: list[Finding] = []
        self._heard: list[Finding] = []  # those of the monitor that are among them
        self.work = WorkCounter(machine, spec.fail_allocation)
        if recorder is not None:
            recorder.watch(machine, self.monitor)

    def _make_engine(self) -> HvoEngine:
        """Make the engine; one that raises an exception is replaced by the model, which then does nothing."""
        if self.spec.engine is None:
            return Hvo(self.machine)
        try:
            return self.spec.engine.make(self.machine)
        except HvolabError:
            raise
        except Exception as error:  # noqa: BLE001 - the user's code
            self.unmade = error
            return Hvo(self.machine)

    def run(self, on_step: Callable[[str], None]) -> ScenarioResult:
        """Do every operation, and check the machine at rest after each; a finding that stops one ends the run."""
        stages = [self._stage("boot")]
        self.frames.failure = self.work.policy
        names = [f"{number} {request}" for number, request in enumerate(self.spec.requests, start=1)]
        phases = zip(names, names, strict=True) if names else _PHASES
        for request, (phase, name) in zip(self.spec.requests or DEFAULT, phases, strict=True):
            self.work.phase = phase
            on_step(str(request))
            self._mark(str(request))
            with self.monitor.watch(), self.machine.trace.listen(self.work):
                outcome = self._do(request)
            stages.append(self._stage(name, request, outcome))
            if outcome is None:
                break
            readable = self._store_to_tails()
            stages[-1] = replace(stages[-1], findings=(*stages[-1].findings, *self._found()))
            if not readable:
                break
        return self._result(stages)

    def _do(self, request: Request) -> Outcome | None:
        """Do an operation; return None if a finding stops it."""
        try:
            self._require_engine()
            patience = 0.0 if self.spec.engine is None else self.spec.engine.patience
            with deadline(patience, lambda: self.work.changes):
                outcome = request.run(PoolSet(self.pools, self.requested))
            if request is DEFAULT[0]:
                self._require_all()
        except BaseException as error:
            own = self.spec.engine is None
            made = self.unmade is None
            if not is_finding(error, in_engine=self.observer.running or not made, own_engine=own):
                raise
            self.machine.trace.emit(stopped(error, self.machine, self.pools, self.observer.seen, self.observer.first))
            return None
        return outcome

    def _require_engine(self) -> None:
        """Raise the error that the maker of the engine raised."""
        if self.unmade is not None:
            raise self.unmade

    def _result(self, stages: list[Stage]) -> ScenarioResult:
        """Return the result of all stages."""
        return ScenarioResult(
            self.spec,
            stages=tuple(stages),
            folios=tuple(self._at_end(history) for _, history in sorted(self.observer.histories.items())),
            stores=tuple(self.stores.values()),
            failed=self.work.failed(),
            findings=counted(self.findings),
            warnings=tuple(
                f"{text} ({count} times)" if count > 1 else text for text, count in self.work.warnings.items()
            ),
        )

    def _at_end(self, history: FolioHistory) -> FolioHistory:
        """Return a history with the view at the end, unless the page tables cannot be read any more."""
        try:
            return replace(history, restored=view_vmemmap(self.machine, history.before.va, history.before.pages))
        except HvolabError:
            return history

    def _require_all(self) -> None:
        """Raise UsageError if a pool is short although no allocation was made to fail.

        Raises KernelBug if the pages would have fit: an engine other than the model has lost folios or memory.
        """
        spec = self.spec
        short = any(pool.h.nr < self.requested[pool.h.size] for pool in self.pools)
        fits = memory_needed(spec.target, spec.nodes, self.requested) <= spec.memory
        if short and fits and spec.engine is not None and spec.fail_allocation is None:
            lost = next((min(pool.live.difference(pool.free_folios()), default=None) for pool in self.pools), None)
            raise KernelBug("a pool has fewer pages than fit into memory", va=lost, rule="no folio or frame is lost")
        if short and not (spec.fail_allocation is not None and fits):
            raise spec.does_not_fit(self.requested)

    def _stage(self, name: str, request: Request | None = None, outcome: Outcome | None = None) -> Stage:
        """Check the machine at rest.

        After an operation that was stopped in the engine, the machine is not; one that was stopped elsewhere is checked
        if no rule was broken before.
        """
        stopped_here = request is not None and outcome is None
        findings = [] if stopped_here and self._explained() else check(self.machine, self.pools)
        if stopped_here:  # between lists: a folio may be on none
            findings = [finding for finding in findings if finding.invariant is not POOL]
        heard = self._found()
        self.findings += findings
        self._mark(f"at rest: {name}", findings)
        variant = self.machine.target.release.variant
        return Stage(
            name,
            replace(self.machine.counters) if variant.counts_memmap else None,
            self.machine.key if variant.counts_folios else None,
            self.frames.free_frames,
            pools=tuple(map(self._report, self.pools)),
            findings=(*heard, *findings),
            work=self.work.take(),
            operation=request,
            outcome=outcome,
        )

    def _mark(self, text: str, findings: Iterable[Finding] = ()) -> None:
        if self.recorder is not None:
            self.recorder.mark(text, findings)

    def _found(self) -> list[Finding]:
        """Return what the monitor has found since the last call, and add it; what counts on replaces the former."""
        found = [new for new, old in zip_longest(self.monitor.findings, self._heard) if new is not old]
        later = {id(old): new for new, old in zip(self.monitor.findings, self._heard, strict=False)}
        self.findings = [later.get(id(finding), finding) for finding in self.findings]
        self.findings += self.monitor.findings[len(self._heard) :]
        self._heard = self.monitor.findings.copy()
        return found

    def _explained(self) -> bool:
        """Return whether the engine was stopped, or broke a rule before it was."""
        found = [*self.findings, *self.monitor.findings]
        before = (finding for finding in found if finding.invariant is not COMPLETION)
        return self.observer.running or not all(finding.declared for finding in before)

    def _report(self, pool: Pool) -> PoolReport:
        h, requested = pool.h, self.requested.get(pool.h.size, 0)
        try:
            optimized = sum(map(self.hvo.folio_optimized, pool.live))
        except Exception as error:
            if not is_finding(error, in_engine=True, own_engine=self.spec.engine is None):
                raise
            optimized = 0
        return PoolReport(h.huge_page, self.hvo.sizes(h), requested, tuple(h.nr_node), h.free, h.surplus, optimized)

    def _store_to_tails(self) -> bool:
        """Store to tails of the observed folio of each order, once it is optimized; return whether they can be read."""
        try:
            self._try_stores()
        except HvolabError as error:
            with self.monitor.watch():
                self.machine.trace.emit(stopped(error, self.machine, self.pools, self.observer.seen))
            return False
        return True

    def _try_stores(self) -> None:
        for pool in self.pools:
            seen = self.observer.histories.get(pool.h.order)
            if seen is None or pool.h.size in self.stores or seen.before.va not in pool.live:
                continue
            if self.machine.struct_pages.optimized(np.array([seen.pfn]))[0]:
                tried = store_to_tails(self.machine, seen.before.va, seen.size, seen.before.pages)
                self.stores[seen.size] = tried
                self.monitor.findings += tried.findings(declared=not self.spec.target.tails_fault)
