"""HVO on the architecture: pools that grow and shrink, and every allocation that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hvolab.conformance.capabilities import EFFECTIVE_FLUSH, SAVINGS, SOUND, SPANNING
from hvolab.conformance.check import Checks, require
from hvolab.conformance.checks.machines import PooledMachine, memory_for
from hvolab.conformance.queries import optimizable_sizes, spanning_sizes
from hvolab.conformance.subject import Scope, Subject
from hvolab.hugetlb import Pool
from hvolab.invariants import Finding, Monitor, check
from hvolab.machine.frames.failure import FailCalls, FailFrom, FailurePolicy, NeverFail
from hvolab.scenario import ScenarioSpec, run_scenario

checks = Checks()
Policy = Callable[[int], FailurePolicy]
_FOLIOS = 2
#: More allocation calls than growing a pool of a few folios can take.
_ENDLESS = 1000


def _once(number: int) -> FailurePolicy:
    return FailCalls(frozenset({number}))


_POLICIES: tuple[Policy, ...] = (_once, FailFrom)


def _holds(findings: Iterable[Finding], when: str, subject: Subject) -> None:
    """Fail with the first finding that the description does not declare."""
    wrong = next((finding for finding in findings if not finding.declared), None)
    require(wrong is None, f"{when}: {wrong}", where=subject)


@checks.add(Scope.DISTINCT, SOUND, SAVINGS, EFFECTIVE_FLUSH)
def hvo_holds_from_boot_to_restore(subject: Subject) -> None:
    """Pools of every size are filled, optimized, stored to and drained: all invariants hold, and savings are right.

    Sizes above the smallest are tried once for each mode: another selection changes bits, which all sizes share.
    """
    target = subject.target
    smallest, *larger = optimizable_sizes(target)
    for size in (smallest, *(larger if subject.is_default else ())):
        requested = {size: _FOLIOS if size == smallest else 1}
        result = run_scenario(ScenarioSpec(target, memory_for(target, requested), hugepages=requested))
        _holds((counted.finding for counted in result.findings), f"with pages of {size:#x} bytes", subject)
        (pool,), (left,) = result.pools, result.left
        require(
            (pool.pages, pool.optimized, left) == (pool.requested, pool.requested, 0),
            f"of {pool.requested} pages of {size:#x} bytes {pool.pages} were allocated, {pool.optimized} optimized, "
            f"and {left} left at the end",
            where=subject,
        )
        expected = pool.requested * pool.sizes.saved_pages
        boot, optimized, restored = (stage.counts for stage in result.stages)
        require(
            result.frames_saved == expected == restored.memmap_total - optimized.memmap_total,
            f"{result.frames_saved} frames were saved, not {expected}",
            where=subject,
        )
        require(boot.memmap_total == restored.memmap_total, "the vmemmap differs from that at boot", where=subject)


@checks.add(Scope.DISTINCT, SOUND, SAVINGS, EFFECTIVE_FLUSH)
def hvo_holds_under_every_allocation_failure(subject: Subject) -> None:
    """All invariants hold while a pool of the smallest size grows and shrinks and any allocation fails.

    It fails once, or it and all after it fail. Each failure is followed by another try, which must succeed.
    """
    target = subject.target
    size = optimizable_sizes(target)[0]
    for policy in _POLICIES:
        _fail_each_of_growing(subject, size, _FOLIOS, policy)
        _fail_each_of_draining(PooledMachine(target, {size: _FOLIOS}), subject, size, policy)


@checks.add(Scope.MODE, SOUND, SPANNING, EFFECTIVE_FLUSH)
def hvo_rolls_back_where_a_folio_spans_tables(subject: Subject) -> None:
    """All invariants hold, and a retry succeeds, if any allocation fails while a larger page is optimized."""
    _fail_each_of_growing(subject, spanning_sizes(subject.target)[0], 1, _once)


def _fail_each_of_growing(subject: Subject, size: int, folios: int, policy: Policy) -> None:
    """Fail each allocation call of growing a pool in turn, each on a machine of its own."""
    for number in range(1, _ENDLESS):
        pooled = PooledMachine(subject.target, {size: folios})
        pool, failing = pooled.pool(size), policy(number)
        pooled.frames.failure = failing
        monitor = Monitor(pooled.machine)
        when = f"allocation {number} of growing a pool of {size:#x} bytes failed ({policy.__name__.strip('_')})"
        with monitor.watch():
            pool.set_max_huge_pages(folios)
            _holds([*check(pooled.machine, pooled.pools), *monitor.findings], when, subject)
            if failing.calls < number:
                return
            pooled.frames.failure = NeverFail()
            pool.set_max_huge_pages(folios)
        _holds([*check(pooled.machine, pooled.pools), *monitor.findings], f"{when}, and was tried again", subject)
        require(pool.h.nr == folios, f"{when}: the pool has {pool.h.nr} folios after another try", where=subject)
    require(holds=False, what="growing a pool does not end", where=subject)


def _fail_each_of_draining(pooled: PooledMachine, subject: Subject, size: int, policy: Policy) -> None:
    """Fail each allocation call of draining a pool in turn, on one machine that is refilled each time."""
    pool = pooled.pool(size)
    for number in range(1, _ENDLESS):
        pool.set_max_huge_pages(_FOLIOS)
        optimized = [folio for folio in pool.live if pooled.hvo.folio_optimized(folio)]
        failing = policy(number)
        pooled.frames.failure = failing
        monitor = Monitor(pooled.machine)
        with monitor.watch():
            pool.set_max_huge_pages(0)
        pooled.frames.failure = NeverFail()
        when = f"allocation {number} of draining a pool of {size:#x} bytes failed ({policy.__name__.strip('_')})"
        _holds([*check(pooled.machine, pooled.pools), *monitor.findings], when, subject)
        if failing.calls < number:
            require(len(optimized) == _FOLIOS, f"{len(optimized)} of {_FOLIOS} were optimized", where=subject)
            return
        _drain(pool)
        _holds(check(pooled.machine, pooled.pools), f"{when}, and memory became free", subject)
        require(pool.h.nr == 0, f"{when}: {pool.h.nr} folios are left", where=subject)
    require(holds=False, what="draining a pool does not end", where=subject)


def _drain(pool: Pool) -> None:
    """Drain a pool after a failed restore: free surplus folios become persistent first, as an administrator does it."""
    pool.set_max_huge_pages(pool.h.nr)
    pool.set_max_huge_pages(0)
