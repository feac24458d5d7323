"""Builds a machine for a target, has emulated CPUs optimize folios of every size, and probes what they made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hvolab.arch import Target
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Finding, check
from hvolab.invariants.rules import stores
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
    """What was found for one target.

    target      what was verified
    counts      what was tried
    mismatches  what came out otherwise than foretold
    findings    what breaks a rule, foretold or not
    sights      what each CPU saw first of each kind of access
    """

    target: Target
    counts: ProbeCounts
    mismatches: tuple[ProbeMismatch, ...]
    findings: tuple[Finding, ...]
    sights: tuple[ProbeRecord, ...]

    @property
    def as_declared(self) -> bool:
        """Whether there is no mismatch, and every finding is one that the description foretells."""
        return not self.mismatches and all(finding.declared for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """The verification for JSON, the target aside."""
        return {
            **self.counts.as_dict(),
            "mismatches": len(self.mismatches),
            "mismatching": [mismatch.as_dict() for mismatch in self.mismatches],
            "findings": [
                {
                    "rule": finding.rule,
                    "what": finding.what,
                    "where": finding.where,
                    "declared": finding.declared,
                }
                for finding in self.findings
            ],
            "seen": [sight.as_dict() for sight in self.sights],
        }


def verify(target: Target, *, handler: bool = False, progress: Callable[[str], None] = lambda _: None) -> Verification:
    """Optimize folios of every size on emulated CPUs and probe every tail, before the flush, after it, and restored.

    handler   whether a handler in the guest records faults
    progress  is told what is being done
    Raises UsageError where unicorn is not installed or cannot emulate the target.
    """
    counts = ProbeCounts()
    mismatches: list[ProbeMismatch] = []
    findings: list[Finding] = []
    sights: dict[tuple[str, str], ProbeRecord] = {}
    sizes = [huge.size for huge in target.mode.huge_pages]
    for size in sizes:
        folios = _FOLIOS if not counts.huge_pages else _OTHERS
        probes = _verify_size(target, size, folios, counts, handler=handler, progress=progress)
        if probes is None:
            continue
        mismatches += probes.mismatches
        findings += _findings(probes)
        for sight in probes.sights():
            sights.setdefault((sight.step, sight.what), sight)
    return Verification(target, counts, tuple(mismatches), tuple(findings), tuple(sights.values()))


def _verify_size(
    target: Target, size: int, folios: int, counts: ProbeCounts, *, handler: bool, progress: Callable[[str], None]
) -> Probes | None:
    """Verify folios of one size; ``None`` where HVO cannot optimize them."""
    unit = target.mode.levels[-2].size
    memory = -(-memory_needed(target, 1, {size: folios}) // unit) * unit
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
    if len(optimized) != folios:
        where = f"{size:#x} bytes"
        probes.note(False, "optimizing", machine.cpus[0], 0, f"{folios} folios of {where}", f"{len(optimized)} are")
    for folio in optimized:
        probes.probe(folio, sizes.pages)
    probes.broken += check(machine, [pool])
    for folio in live:
        hvo.restore_folio(h, folio)
        probes.after_restore(folio, sizes.pages)
    return probes


def _findings(probes: Probes) -> list[Finding]:
    """What broke rules: invariants, and stores that landed in the frame that all tails share."""
    found = list(probes.broken)
    if probes.landed:
        what = (
            f"{len(probes.landed)} stores to tails of optimized folios changed the frame that they share with the head"
        )
        found.append(Finding(stores.INVARIANT, what, f"VA {probes.landed[0]:#x}", declared=True))
    return found
