"""The main job: build a machine, operate on its pools, check, store to tails, check again."""

from __future__ import annotations

from collections.abc import Iterator

from hvolab.arch import HugePageSize
from hvolab.errors import MachineError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, HvoEngine
from hvolab.invariants import Finding, Monitor, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine, use_cpus
from hvolab.scenario.observer import Observer
from hvolab.scenario.operations import DEFAULT, Outcome, PoolSet, Request
from hvolab.scenario.parts import FolioHistory, MachineCounts, PoolReport, Stage, counted
from hvolab.scenario.result import ScenarioResult
from hvolab.scenario.spec import ScenarioSpec, does_not_fit, memory_needed
from hvolab.scenario.stores import TailStores, store_to_tails
from hvolab.scenario.views import view_vmemmap
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
    requested = spec.resolved()
    deferred = spec.memory > _DEFER_ABOVE and spec.nodes == 1  # struct pages have the node of a folio
    machine = build_machine(
        spec.target, MachineSpec(memory=spec.memory, nodes=spec.nodes, deferred_struct_pages=deferred)
    )
    if spec.cpu is not None:
        use_cpus(machine, spec.cpu)
    return _Scenario(spec, machine, requested).run()


class _Scenario:
    """One machine with its pools, and the listeners."""

    def __init__(self, spec: ScenarioSpec, machine: Machine, requested: tuple[tuple[HugePageSize, int], ...]) -> None:
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("the scenario needs a machine that allocates its own frames")
        self.spec = spec
        self.machine = machine
        self.frames: FrameAllocator = machine.frames
        self.hvo: HvoEngine = Hvo(machine) if spec.engine is None else spec.engine(machine, spec.image)
        self.observer = Observer(self.hvo)
        pages = {huge.size: count for huge, count in requested}
        pools = (Pool(machine, h, self.observer) for h in hstates(machine))
        self.pools = PoolSet(tuple(pool for pool in pools if spec.operations or pool.h.size in pages), pages)
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
                outcome = request.run(self.pools)
            if request is DEFAULT[0]:
                self._require_all()
            stages.append(self._stage(name, request, outcome))
            self._store_to_tails()
        findings: list[Finding] = [finding for stage in stages for finding in stage.findings]
        findings += self.monitor.findings
        for tried in self.stores.values():
            findings += tried.findings(declared=not self.spec.target.tails_fault)
        return ScenarioResult(
            target=self.spec.target,
            memory=self.spec.memory,
            nodes=self.spec.nodes,
            stages=tuple(stages),
            requested=bool(names),
            folios=tuple(self._histories()),
            stores=tuple(self.stores.values()),
            failed=self.recorder.failed(),
            findings=counted(findings),
            warnings=tuple(
                f"{text} ({count} times)" if count > 1 else text for text, count in self.recorder.warnings.items()
            ),
        )

    def _require_all(self) -> None:
        """Raise UsageError if a pool is short although no allocation was made to fail."""
        requested, spec = self.pools.requested, self.spec
        short = any(pool.h.nr < requested[pool.h.size] for pool in self.pools.pools)
        fits = memory_needed(spec.target, spec.nodes, requested) <= spec.memory
        if short and not (spec.fail_allocation is not None and fits):
            raise does_not_fit(spec.target, spec.memory, spec.nodes, requested)

    def _stage(self, name: str, request: Request | None = None, outcome: Outcome | None = None) -> Stage:
        """Check the machine at rest."""
        counters, pools = self.machine.counters, self.pools.pools
        counts = MachineCounts(
            counters.nr_memmap_pages, counters.nr_memmap_boot_pages, self.machine.key, self.frames.free_frames
        )
        findings = tuple(check(self.machine, pools))
        return Stage(name, counts, tuple(map(self._report, pools)), findings, self.recorder.take(), request, outcome)

    def _report(self, pool: Pool) -> PoolReport:
        h, requested = pool.h, self.pools.requested.get(pool.h.size, 0)
        optimized = sum(map(self.hvo.folio_optimized, pool.live))
        return PoolReport(h.huge_page, self.hvo.sizes(h), requested, tuple(h.nr_node), h.free, h.surplus, optimized)

    def _store_to_tails(self) -> None:
        """Store to tails of the observed folio of each order, once it is optimized."""
        for pool in self.pools.pools:
            seen = self.observer.observed.get(pool.h.order)
            if seen is None or pool.h.size in self.stores or seen.folio not in pool.live:
                continue
            if self.hvo.folio_optimized(seen.folio):
                pages = self.hvo.sizes(pool.h).pages
                self.stores[pool.h.size] = store_to_tails(self.machine, seen.folio, pool.h.size, pages)

    def _histories(self) -> Iterator[FolioHistory]:
        """Yield the history of the observed folio of each order."""
        for pool in self.pools.pools:
            seen = self.observer.observed.get(pool.h.order)
            if seen is not None:
                at_end = view_vmemmap(self.machine, seen.folio, seen.before.pages)
                pfn = self.machine.struct_pages.pfn(seen.folio)
                yield FolioHistory(pool.h.size, pfn, seen.before, seen.after, at_end)
