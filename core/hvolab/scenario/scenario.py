# SPDX-License-Identifier: GPL-2.0-only
"""The main job: build a machine, operate on its pools, check, store to tails, check again."""

from __future__ import annotations

from dataclasses import replace

from hvolab.errors import MachineError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, HvoEngine
from hvolab.invariants import Monitor, check
from hvolab.machine import FrameAllocator, MachineSpec, build_machine, use_cpus
from hvolab.scenario.operations import DEFAULT, Outcome, PoolSet, Request
from hvolab.scenario.result import PoolReport, ScenarioResult, Stage, counted
from hvolab.scenario.spec import ScenarioSpec, memory_needed
from hvolab.scenario.stores import TailStores, store_to_tails
from hvolab.scenario.views import Observer, view_vmemmap
from hvolab.scenario.work import Recorder

#: Above this much memory, struct pages of free memory stay uninitialized, as on kernels that defer that.
_DEFER_ABOVE = 16 << 30
#: Phase and stage of each default operation.
_PHASES = (("fill", "optimized"), ("drain", "restored"))


def run_scenario(spec: ScenarioSpec) -> ScenarioResult:
    """Run a scenario.

    Raises UsageError for huge pages that the mode does not have or that do not fit, and for operations that a pool
    does not have; MachineError for a machine that cannot be built; and the errors of the maker of its CPUs.
    """
    return _Scenario(spec).run()


class _Scenario:
    """One machine with its pools, and the listeners."""

    def __init__(self, spec: ScenarioSpec) -> None:
        self.spec = spec
        self.requested = spec.resolved()
        deferred = spec.memory > _DEFER_ABOVE and spec.nodes == 1  # struct pages have the node of a folio
        layout = None if spec.engine is None else spec.engine.layout
        machine_spec = MachineSpec(
            memory=spec.memory,
            nodes=spec.nodes,
            optimize_enabled=spec.optimize_enabled,
            deferred_struct_pages=deferred,
            layout=layout,
        )
        self.machine = machine = build_machine(spec.target, machine_spec)
        if spec.cpu is not None:
            use_cpus(machine, spec.cpu)
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("the scenario needs a machine that allocates its own frames")
        self.frames: FrameAllocator = machine.frames
        self.hvo: HvoEngine = Hvo(machine) if spec.engine is None else spec.engine.make(machine)
        self.observer = Observer(self.hvo)
        pools = (Pool(machine, h, self.observer) for h in hstates(machine))
        self.pools = tuple(pool for pool in pools if spec.operations or pool.h.size in self.requested)
        self.stores: dict[int, TailStores] = {}
        self.monitor = Monitor(machine)
        self.recorder = Recorder(machine, spec.fail_allocation)

    def run(self) -> ScenarioResult:
        """Do every operation, and check the machine at rest after each."""
        stages = [self._stage("boot")]
        self.frames.failure = self.recorder.policy
        names = [f"{number} {request}" for number, request in enumerate(self.spec.operations, start=1)]
        phases = zip(names, names, strict=True) if names else _PHASES
        for request, (phase, name) in zip(self.spec.operations or DEFAULT, phases, strict=True):
            self.recorder.phase = phase
            with self.monitor.watch(), self.machine.trace.listen(self.recorder):
                outcome = request.run(PoolSet(self.pools, self.requested))
            if request is DEFAULT[0]:
                self._require_all()
            stages.append(self._stage(name, request, outcome))
            self._store_to_tails()
        findings = [*(finding for stage in stages for finding in stage.findings), *self.monitor.findings]
        for tried in self.stores.values():
            findings += tried.findings(declared=not self.spec.target.tails_fault)
        return ScenarioResult(
            self.spec,
            stages=tuple(stages),
            folios=tuple(
                replace(history, restored=view_vmemmap(self.machine, history.before.va, history.before.pages))
                for _, history in sorted(self.observer.histories.items())
            ),
            stores=tuple(self.stores.values()),
            failed=self.recorder.failed(),
            findings=counted(findings),
            warnings=tuple(
                f"{text} ({count} times)" if count > 1 else text for text, count in self.recorder.warnings.items()
            ),
        )

    def _require_all(self) -> None:
        """Raise UsageError if a pool is short although no allocation was made to fail."""
        spec = self.spec
        short = any(pool.h.nr < self.requested[pool.h.size] for pool in self.pools)
        fits = memory_needed(spec.target, spec.nodes, self.requested) <= spec.memory
        if short and not (spec.fail_allocation is not None and fits):
            raise spec.does_not_fit(self.requested)

    def _stage(self, name: str, request: Request | None = None, outcome: Outcome | None = None) -> Stage:
        """Check the machine at rest."""
        variant = self.machine.target.release.variant
        return Stage(
            name,
            replace(self.machine.counters) if variant.counts_memmap else None,
            self.machine.key if variant.counts_folios else None,
            self.frames.free_frames,
            pools=tuple(map(self._report, self.pools)),
            findings=tuple(check(self.machine, self.pools)),
            work=self.recorder.take(),
            operation=request,
            outcome=outcome,
        )

    def _report(self, pool: Pool) -> PoolReport:
        h, requested = pool.h, self.requested.get(pool.h.size, 0)
        optimized = sum(map(self.hvo.folio_optimized, pool.live))
        return PoolReport(h.huge_page, self.hvo.sizes(h), requested, tuple(h.nr_node), h.free, h.surplus, optimized)

    def _store_to_tails(self) -> None:
        """Store to tails of the observed folio of each order, once it is optimized."""
        for pool in self.pools:
            seen = self.observer.histories.get(pool.h.order)
            if seen is None or pool.h.size in self.stores or seen.before.va not in pool.live:
                continue
            if self.hvo.folio_optimized(seen.before.va):
                self.stores[seen.size] = store_to_tails(self.machine, seen.before.va, seen.size, seen.before.pages)
