# SPDX-License-Identifier: GPL-2.0-only
"""Verification of one target: emulated CPUs optimize folios of every size, and every tail is probed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from hvolab.arch import Target
from hvolab.arithmetic import round_up
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Finding, check
from hvolab.invariants.rules.stores import STORES
from hvolab.machine import MachineSpec, build_machine, use_cpus
from hvolab.scenario import Recorder, memory_needed
from hvolab_unicorn.cpu.emulated_cpu import EmulatedCpu
from hvolab_unicorn.verify.probes import CPUS, Probes, Verification
from hvolab_unicorn.verify.stale import StaleCpu

#: Folios of the smallest size that HVO can optimize, and of each other.
_FOLIOS, _OTHERS = 2, 1


def verify(
    target: Target,
    *,
    handler: bool = False,
    progress: Callable[[str], None] = lambda _: None,
    recorder: Recorder | None = None,
) -> Verification:
    """Optimize folios of every size on emulated CPUs and probe every tail, before the flush, after it, and restored.

    handler   True: a handler in the guest records faults
    progress  is called with a line before each size
    recorder  recorder of the smallest size that HVO can optimize, with the results as stages
    Raises UsageError where unicorn is not installed or cannot emulate the target.
    """
    found = Verification(target)
    for huge in target.mode.huge_pages:
        folios = _OTHERS if found.counts.huge_pages else _FOLIOS
        _verify_size(found, huge.size, folios, handler=handler, progress=progress, recorder=recorder)
        if found.counts.huge_pages and recorder is not None:
            recorder.mark("at rest: restored", found.findings)
            recorder, found.on_result = None, lambda _: None
    return found


def _verify_size(
    found: Verification,
    size: int,
    folios: int,
    *,
    handler: bool,
    progress: Callable[[str], None],
    recorder: Recorder | None,
) -> None:
    """Verify folios of one size, if HVO can optimize them."""
    target = found.target
    memory = round_up(memory_needed(target, 1, {size: folios}), target.mode.levels[-2].size)
    machine = build_machine(target, MachineSpec(memory=memory, cpus=CPUS, deferred_struct_pages=True))
    h = next(h for h in hstates(machine) if h.size == size)
    use_cpus(machine, partial(EmulatedCpu, handler=handler))
    hvo = Hvo(machine)
    sizes = hvo.sizes(h)
    if not sizes.optimizable:
        return
    progress(f"{target.mode.name}: {folios} x {size:#x} bytes")
    if recorder is not None:
        recorder.watch(machine)
        recorder.mark(f"optimize {folios} folios of {size:#x} bytes")
        found.on_result = recorder.mark
    pool = Pool(machine, h, hvo)
    probes = Probes(machine, found)
    stale = StaleCpu(machine, machine.cpus[-1], found, sizes.pages)
    with machine.trace.listen(stale):
        pool.set_max_huge_pages(folios)
    stale.check_flushed()
    live = list(pool.live)
    optimized = [folio for folio in live if hvo.folio_optimized(folio)]
    expected, seen = f"{folios} folios of {size:#x} bytes", f"{len(optimized)} are optimized"
    found.check(len(optimized) == folios, "optimizing", machine.cpus[0], 0, expected, seen)
    for folio in optimized:
        tail = hvo.remap.tail_page(folio, h.order) if hvo.variant.shares_tail_page else None
        probes.probe(folio, sizes.pages, folio if tail is None else machine.page_to_virt(tail))
    found.findings += check(machine, [pool])
    if tails := probes.written:
        what = f"{len(tails)} stores to tails of optimized folios changed the frame that they share with the head"
        found.findings.append(Finding(STORES, what, f"VA {tails[0]:#x}", declared=True))
    if recorder is not None:
        recorder.mark(f"restore {len(live)} folios")
    for folio in live:
        hvo.restore_folio(h, folio)
        probes.after_restore(folio, sizes.pages)
