"""Verification of one target: emulated CPUs optimize folios of every size, and every tail is probed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hvolab.arch import Target
from hvolab.arithmetic import round_up
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Finding, check
from hvolab.invariants.rules.stores import STORES
from hvolab.machine import MachineSpec, build_machine, use_cpus
from hvolab.scenario import memory_needed
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.verify.probes import ProbeCounts, ProbeMismatch, ProbeRecord, Probes
from hvolab_unicorn.verify.stale import StaleCpu

_CPUS = 2
#: Folios of the smallest size that HVO can optimize, and of each other.
_FOLIOS, _OTHERS = 2, 1


@dataclass(frozen=True)
class Verification:
    """Result for one target.

    target      the target
    counts      counts of accesses
    mismatches  results that differ from the prediction
    findings    broken rules, declared or not
    records     first result of each kind of access
    """

    target: Target
    counts: ProbeCounts
    mismatches: tuple[ProbeMismatch, ...]
    findings: tuple[Finding, ...]
    records: tuple[ProbeRecord, ...]

    @property
    def as_declared(self) -> bool:
        """True without mismatches, if the description declares every finding."""
        return not self.mismatches and all(finding.declared for finding in self.findings)


def verify(target: Target, *, handler: bool = False, progress: Callable[[str], None] = lambda _: None) -> Verification:
    """Optimize folios of every size on emulated CPUs and probe every tail, before the flush, after it, and restored.

    handler   True: a handler in the guest records faults
    progress  is called with a line before each size
    Raises UsageError where unicorn is not installed or cannot emulate the target.
    """
    counts = ProbeCounts()
    mismatches: list[ProbeMismatch] = []
    findings: list[Finding] = []
    records: dict[tuple[str, str], ProbeRecord] = {}
    for huge in target.mode.huge_pages:
        folios = _OTHERS if counts.huge_pages else _FOLIOS
        probes = _verify_size(target, huge.size, folios, counts, handler=handler, progress=progress)
        if probes is not None:
            mismatches += probes.mismatches
            findings += _findings(probes)
            for record in probes.records():
                records.setdefault((record.step, record.what), record)
    return Verification(target, counts, tuple(mismatches), tuple(findings), tuple(records.values()))


def _verify_size(
    target: Target, size: int, folios: int, counts: ProbeCounts, *, handler: bool, progress: Callable[[str], None]
) -> Probes | None:
    """Verify folios of one size; return `None` where HVO cannot optimize them."""
    memory = round_up(memory_needed(target, 1, {size: folios}), target.mode.levels[-2].size)
    machine = build_machine(target, MachineSpec(memory=memory, cpus=_CPUS, deferred_struct_pages=True))
    h = next(h for h in hstates(machine) if h.size == size)
    use_cpus(machine, lambda machine, index: EmulatedCpu(machine, index, handler=handler))
    hvo = Hvo(machine)
    sizes = hvo.sizes(h)
    if not sizes.optimizable:
        return None
    progress(f"{target.mode.name}: {folios} x {size:#x} bytes")
    pool = Pool(machine, h, hvo)
    probes = Probes(machine, counts)
    stale = StaleCpu(machine, machine.cpus[-1], probes, sizes.pages)
    with machine.trace.listen(stale):
        pool.set_max_huge_pages(folios)
    stale.check_flushed()
    live = list(pool.live)
    optimized = [folio for folio in live if hvo.folio_optimized(folio)]
    expected, seen = f"{folios} folios of {size:#x} bytes", f"{len(optimized)} are optimized"
    probes.check(len(optimized) == folios, "optimizing", machine.cpus[0], 0, expected, seen)
    for folio in optimized:
        probes.probe(folio, sizes.pages)
    probes.broken += check(machine, [pool])
    for folio in live:
        hvo.restore_folio(h, folio)
        probes.after_restore(folio, sizes.pages)
    return probes


def _findings(probes: Probes) -> list[Finding]:
    """Return the broken invariants, and the stores that changed the frame that all tails share."""
    if not probes.written:
        return probes.broken
    what = f"{len(probes.written)} stores to tails of optimized folios changed the frame that they share with the head"
    return [*probes.broken, Finding(STORES, what, f"VA {probes.written[0]:#x}", declared=True)]
