# SPDX-License-Identifier: GPL-2.0-only
"""Command: run mutants, and write their results and the tables of docs/mutation.md.

By default only mutants without a result, and those that no rule detects; results of mutants that are gone are dropped.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.mutation.mutants import modules, mutants_of
from tests.mutation.results import load, save, write_page
from tests.mutation.run import Verdict, run

#: Mutants that `--check` runs in one scenario, each detected there by rules.
SAMPLE = (
    "hvo/engine.py Hvo.optimize_folios: remove `machine.flush_tlb_all()`",
    "hvo/engine.py Hvo._remap: remove `self._set_optimized(folio, optimized=True)`",
    "hvo/remap.py VmemmapRemap.free: remove `self.cpu.copy_page(machine.page_to_virt(walk.reuse_pfn), reuse)`",
    "hvo/walk.py VmemmapWalker._populate: remove `self._cpu.barrier('smp_wmb')`",
    "hugetlb/pool_lists.py PoolLists.remove: remove `self.h.count(node, nr=-1)`",
)
_SCENARIO = "x86_64 6.12 base"


def check() -> int:
    """Run a fixed sample; return 1, and name the mutants, if rules do not detect all of it."""
    sample = [mutant for module in modules() for mutant in mutants_of(module) if mutant.name in SAMPLE]
    missing = set(SAMPLE).difference(mutant.name for mutant in sample)
    undetected = [mutant.name for mutant, verdict in run(sample, only={_SCENARIO}) if verdict.by != "rules"]
    sys.stderr.writelines(f"not detected by rules: {name}\n" for name in (*undetected, *missing))
    return 1 if undetected or missing else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("module", nargs="*", choices=[[], *modules()], help="a module; by default all")
    parser.add_argument("--all", action="store_true", help="run mutants again that rules have detected")
    parser.add_argument("--tables", action="store_true", help="run nothing; write results and tables again")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--check", action="store_true", help="run a fixed sample only, and write nothing")
    chosen = parser.parse_args(arguments)
    if chosen.check:
        return check()
    mutants = {mutant.name: mutant for module in modules() for mutant in mutants_of(module)}
    results = {name: verdict for name, verdict in load().items() if name in mutants}
    wanted = [
        mutant
        for name, mutant in mutants.items()
        if (not chosen.module or mutant.module in chosen.module)
        and (chosen.all or name not in results or results[name].by in {"comparison", "tests", "nothing", "not run"})
    ]
    before = time.monotonic()
    for number, (mutant, verdict) in enumerate([] if chosen.tables else run(wanted, chosen.workers), start=1):
        results[mutant.name] = verdict
        if number % 50 == 0:
            sys.stderr.write(f"{number} of {len(wanted)} in {time.monotonic() - before:.0f} s\n")
            save(results)
    save({name: results.get(name, Verdict("not run")) for name in mutants})
    write_page(load())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
