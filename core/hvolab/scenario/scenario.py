"""The main job: build a machine, fill its pools, check, store to tails, drain the pools, check again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from hvolab.arch import HugePageSize
from hvolab.errors import MachineError
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo, HvoEngine
from hvolab.invariants import Finding, Monitor, check
from hvolab.machine import FrameAllocator, Machine, MachineSpec, build_machine, use_cpus
from hvolab.machine.frames.failure import FailCalls, NeverFail
from hvolab.scenario.observer import Observer
from hvolab.scenario.parts import FolioHistory, MachineCounts, PoolReport, Stage, counted
from hvolab.scenario.result import ScenarioResult
from hvolab.scenario.spec import ScenarioSpec, does_not_fit, memory_needed
from hvolab.scenario.stores import TailStores, store_to_tails
from hvolab.scenario.views import view_vmemmap
from hvolab.scenario.work import FailureWatch, OperationCounts, WarningNotes, WorkCounter

#: Above this much memory, struct pages of free memory stay uninitialized, as on kernels that defer that.
_DEFER_ABOVE = 16 << 30


def run_scenario(spec: ScenarioSpec) -> ScenarioResult:
    """Carry out a scenario.

    Raises UsageError for huge pages that the mode does not have or that do not fit, MachineError for a machine that
    cannot be built, and what making its CPUs raises.
    """
    asked = spec.resolved()
    deferred = spec.memory > _DEFER_ABOVE and spec.nodes == 1  # struct pages tell which node a folio is on
    machine = build_machine(
        spec.target, MachineSpec(memory=spec.memory, nodes=spec.nodes, deferred_struct_pages=deferred)
    )
    if spec.cpu is not None:
        use_cpus(machine, spec.cpu)
    return _Scenario(spec, machine, asked).run()


class _Scenario:
    """The steps, in order, on one machine."""

    def __init__(self, spec: ScenarioSpec, machine: Machine, asked: tuple[tuple[HugePageSize, int], ...]) -> None:
        if not isinstance(machine.frames, FrameAllocator):
            raise MachineError("the scenario needs a machine that allocates its own frames")
        self.spec = spec
        self.machine = machine
        self.frames: FrameAllocator = machine.frames
        self.hvo: HvoEngine = Hvo(machine) if spec.engine is None else spec.engine(machine, spec.image)
        self.observer = Observer(self.hvo)
        self.asked = {huge.size: count for huge, count in asked}
        pools = [Pool(machine, h, self.observer) for h in hstates(machine)]
        self.pools = [pool for pool in pools if pool.h.size in self.asked]
        self.monitor = Monitor(machine)
        self.work = WorkCounter(machine)
        self.warnings = WarningNotes()
        self.failures: FailureWatch | None = None

    def run(self) -> ScenarioResult:
        """Carry out every step."""
        stages = [self._stage("boot")]
        if self.spec.fail_allocation is not None:
            self.frames.failure = FailCalls(frozenset({self.spec.fail_allocation}))
            self.failures = FailureWatch(self.spec.fail_allocation, self.frames.failure)
        fill = self._fill()
        stages.append(self._stage("optimized"))
        filled = [(tuple(pool.h.nr_node), self._optimized(pool)) for pool in self.pools]
        stores = self._stores()
        drain = self._drain()
        failed = None if self.failures is None else self.failures.seen()
        self.frames.failure = NeverFail()
        stages.append(self._stage("restored"))
        findings: list[Finding] = [finding for stage in stages for finding in stage.findings]
        findings += self.monitor.findings
        for tried in stores:
            findings += tried.findings(declared=not self.spec.target.tails_fault)
        return ScenarioResult(
            target=self.spec.target,
            memory=self.spec.memory,
            nodes=self.spec.nodes,
            pools=tuple(map(self._report, self.pools, filled)),
            stages=tuple(stages),
            folios=self._stories(),
            stores=stores,
            fill=fill,
            drain=drain,
            failed=failed,
            findings=counted(findings),
            warnings=self.warnings.texts(),
        )

    def _report(self, pool: Pool, filled: tuple[tuple[int, ...], int]) -> PoolReport:
        """What became of a pool; ``filled``: folios on each node once filled, and how many were optimized."""
        h, (per_node, optimized) = pool.h, filled
        return PoolReport(h.huge_page, self.hvo.sizes(h), self.asked[h.size], per_node, optimized, h.nr)

    def _fill(self) -> OperationCounts:
        """Grow the pools, the largest pages first, as long as there are wide gaps; each is optimized as it grows."""
        with self._listening("fill"):
            for pool in reversed(self.pools):
                pool.set_max_huge_pages(self.asked[pool.h.size])
        self._require_all()
        return self.work.taken()

    def _require_all(self) -> None:
        """Raise UsageError where a pool is short although no allocation was made to fail."""
        short = any(pool.h.nr < self.asked[pool.h.size] for pool in self.pools)
        spec = self.spec
        fits = memory_needed(spec.target, spec.nodes, self.asked) <= spec.memory
        if short and not (spec.fail_allocation is not None and fits):
            raise does_not_fit(spec.target, spec.memory, spec.nodes, self.asked)

    def _drain(self) -> OperationCounts:
        """Empty the pools, as far as their folios can be restored."""
        with self._listening("drain"):
            for pool in self.pools:
                pool.set_max_huge_pages(0)
        return self.work.taken()

    @contextmanager
    def _listening(self, phase: str) -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(self.monitor.watch())
            stack.enter_context(self.machine.trace.listen(self.work))
            stack.enter_context(self.machine.trace.listen(self.warnings))
            if self.failures is not None:
                self.failures.phase = phase
                stack.enter_context(self.machine.trace.listen(self.failures))
            yield

    def _stage(self, name: str) -> Stage:
        counters = self.machine.counters
        counts = MachineCounts(
            counters.nr_memmap_pages, counters.nr_memmap_boot_pages, self.machine.key, self.frames.free_frames
        )
        return Stage(name, counts, tuple(check(self.machine, self.pools)))

    def _optimized(self, pool: Pool) -> int:
        return sum(self.hvo.folio_optimized(folio) for folio in pool.live)

    def _stores(self) -> tuple[TailStores, ...]:
        """Store to tails of the folio of each order that is looked at, if it is optimized."""
        tried = []
        for pool in self.pools:
            sight = self.observer.sights.get(pool.h.order)
            if sight is not None and self.hvo.folio_optimized(sight.folio):
                pages = self.hvo.sizes(pool.h).pages
                tried.append(store_to_tails(self.machine, sight.folio, pool.h.size, pages))
        return tuple(tried)

    def _stories(self) -> tuple[FolioHistory, ...]:
        stories = []
        for pool in self.pools:
            sight = self.observer.sights.get(pool.h.order)
            if sight is not None:
                restored = view_vmemmap(self.machine, sight.folio, sight.before.pages)
                pfn = self.machine.struct_pages.pfn(sight.folio)
                stories.append(FolioHistory(pool.h.size, pfn, sight.before, sight.after, restored))
        return tuple(stories)
