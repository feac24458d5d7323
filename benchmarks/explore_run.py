# SPDX-License-Identifier: GPL-2.0-only
"""Schedules of the explorer and bare runs of the same operations, in turn, in a process of its own.

usage: python -m benchmarks.explore_run ACTORS [--rounds N]     prints figures, one line of JSON

The bare run is what a schedule cannot do without: the machine returns to its first state, the folios are optimized one
after the other, on a CPU each and entry by entry, and the invariants are checked. It has no actors, steps or search.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from benchmarks.report import BenchmarkError
from hvolab.arch import Target
from hvolab.hugetlb import Pool, hstates
from hvolab.hvo import Hvo
from hvolab.invariants import Folios, check
from hvolab.machine import MachineSpec, build_machine
from hvolab.machine.checkpoint import Checkpoint
from hvolab.plugin import registry
from hvolab_explorer.exploration import Limits, explore
from hvolab_explorer.runs.configuration import Configuration, parse_actors
from hvolab_explorer.search.dpor import Dpor

_TARGET = "x86_64"
_EVERYTHING = Limits(seconds=600, first_finding=False)
#: Folios of the bare machine, and bytes of its memory, as those of the explorer's.
_FOLIOS, _MEMORY = 2, 128 << 20


def main() -> None:
    """Explore everything once for each round, and make as many bare runs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("actors", help="two of them optimize A and B")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    configuration = Configuration("", "", parse_actors(options.actors))
    target = registry().architecture(_TARGET).select()
    program, bare = configuration.program(target), _Bare(target)
    explore(program, Dpor(), Limits(schedules=3, first_finding=False))
    bare.run()
    figures: dict[str, list[float]] = {"explored": [], "bare": []}
    for _ in range(options.rounds):
        start = time.process_time()
        result = explore(program, Dpor(), _EVERYTHING)
        figures["explored"].append((time.process_time() - start) / result.schedules * 1e3)
        if not result.complete or result.findings:
            raise BenchmarkError(f"{options.actors}: {result.verdict}, findings: {list(result.findings)}")
        start = time.process_time()
        for _ in range(result.schedules):
            bare.run()
        figures["bare"].append((time.process_time() - start) / result.schedules * 1e3)
    print(json.dumps({**figures, "schedules": result.schedules, "classes": len(result.classes), "steps": result.steps}))


class _Bare:
    """A machine with two CPUs and two neighboring folios."""

    def __init__(self, target: Target) -> None:
        self._machine = machine = build_machine(target, MachineSpec(memory=_MEMORY, cpus=_FOLIOS))
        self._h = next(h for h in hstates(machine) if Hvo(machine).sizes(h).optimizable)
        pool = Pool(machine, self._h, Hvo(machine))
        machine.optimize_enabled = False
        pool.set_max_huge_pages(_FOLIOS)
        machine.optimize_enabled = machine.trace.single_steps = True
        self._folios = sorted(pool.live)
        self._engines = [Hvo(machine, cpu) for cpu in machine.cpus]
        pfns = np.array([machine.struct_pages.pfn(folio) for folio in self._folios], dtype=np.int64)
        self._groups = (Folios(self._h.order, pfns),)
        self._checkpoint = Checkpoint(machine)

    def run(self) -> None:
        """Do what a schedule does; raises BenchmarkError if a folio was not optimized, or an invariant is broken."""
        self._checkpoint.restore()
        for engine, folio in zip(self._engines, self._folios, strict=True):
            engine.optimize_folio(self._h, folio)
            if not engine.folio_optimized(folio):
                raise BenchmarkError("a folio was not optimized")
        if findings := check(self._machine, (), self._groups):
            raise BenchmarkError(f"an invariant is broken: {findings[0]}")


if __name__ == "__main__":
    main()
